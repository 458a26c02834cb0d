package rehearsal

import "github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"

// Recover tells what a TCB recovery of Intel's makes of the host of the key services.
func (w *World) Recover(change func(*tdxsim.Family)) { w.pcs.Recover(w.under, change) }

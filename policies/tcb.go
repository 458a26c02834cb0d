package policies

import "github.com/calimero-network/mero-tee/internal/attestation/tcb"

// TCB is what the policy accepts of the machines under the nodes.
func (p *Policy) TCB() tcb.List {
	return tcb.List{AllowedTCBStatus: p.AllowedTCBStatus, TCBWaivers: p.TCBWaivers}
}

// TCB is what the policy accepts of the machines under the nodes.
func (w *Working) TCB() tcb.List {
	return tcb.List{AllowedTCBStatus: w.AllowedTCBStatus, TCBWaivers: w.TCBWaivers}
}

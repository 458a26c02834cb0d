package tdxsim

import (
	"fmt"
	"sync"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
)

const (
	attributeSEPTVEDisable = 1 << 28
	xfam                   = 0x000602e7
)

// TD is one simulated trust domain. It is safe for concurrent use.
type TD struct {
	platform   *Platform
	attributes uint64
	mrtd       tdx.Register
	mu         sync.Mutex
	rtmr       [4]tdx.Register
}

// TDOption is an attribute that a TD has beside those of every production TD.
type TDOption uint64

// Debug opens the TD to its host; Migratable, to whom its host names as the TD that moves it.
const (
	Debug      TDOption = 1 << 0
	Migratable TDOption = 1 << 29
)

// NewTD boots a TD: MRTD is fixed, the RTMRs start at zero.
func (m *Platform) NewTD(mrtd tdx.Register, options ...TDOption) *TD {
	t := &TD{platform: m, mrtd: mrtd, attributes: attributeSEPTVEDisable}
	for _, o := range options {
		t.attributes |= uint64(o)
	}
	return t
}

// Extend is TDG.MR.RTMR.EXTEND, rtmr 0 to 3.
func (t *TD) Extend(rtmr int, digest tdx.Register) error {
	if rtmr < 0 || rtmr > 3 {
		return fmt.Errorf("no RTMR%d", rtmr)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rtmr[rtmr] = t.rtmr[rtmr].Extend(digest)
	return nil
}

// Registers are the TD's registers at this moment.
func (t *TD) Registers() tdx.Registers {
	t.mu.Lock()
	defer t.mu.Unlock()
	return tdx.Registers{MRTD: t.mrtd, RTMR0: t.rtmr[0], RTMR1: t.rtmr[1], RTMR2: t.rtmr[2], RTMR3: t.rtmr[3]}
}

package measurement

import "github.com/calimero-network/mero-tee/internal/attestation/tdx"

// Registers are the published values; RTMR3 is zero when its owner is the instance.
func (p Profile) Registers() tdx.Registers {
	r := tdx.Registers{MRTD: p.MRTD, RTMR0: p.RTMR0, RTMR1: p.RTMR1, RTMR2: p.RTMR2}
	if p.RTMR3 != nil {
		r.RTMR3 = *p.RTMR3
	}
	return r
}

// Compare lists every register in which an observed machine differs from what
// was published. An RTMR3 that belongs to the instance is not compared: its
// event log is replayed instead.
func (p Profile) Compare(observed tdx.Registers) []tdx.Difference {
	if p.RTMR3 == nil {
		observed.RTMR3 = tdx.Register{}
	}
	return p.Registers().Compare(observed)
}

// Equal compares everything but the events, which only key services have.
func (p Profile) Equal(o Profile) bool {
	return p.Registers() == o.Registers() && p.Owners == o.Owners && p.Image == o.Image && p.Evidence == o.Evidence
}

package measurement

import (
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/tdx"
)

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

// Change is one value that differs between two releases; empty means absent.
type Change struct {
	Profile  release.Profile
	Field    string // a register's name, "image", "digest" or "compose_hash"
	Old, New string
}

// Diff lists what changed from one release to the next, profile by profile in
// the spec's order, registers first. Either side may be nil.
func Diff(from, to *Published) []Change {
	var out []Change
	for _, name := range release.Profiles() {
		a, b := from.fields(name), to.fields(name)
		for i := range a {
			if a[i].value != b[i].value {
				out = append(out, Change{Profile: name, Field: a[i].name, Old: a[i].value, New: b[i].value})
			}
		}
	}
	return out
}

type field struct{ name, value string }

func (p *Published) fields(name release.Profile) []field {
	var profile Profile
	if p != nil {
		profile = p.Profiles[name]
	}
	out := make([]field, 0, 8)
	values := profile.Registers().Values()
	for i, register := range tdx.RegisterNames() {
		out = append(out, field{register, unlessZero(values[i])})
	}
	return append(out, field{"image", profile.Image.Name}, field{"digest", unlessZero(profile.Image.Digest)},
		field{"compose_hash", unlessZero(profile.Image.ComposeHash)})
}

func unlessZero(v interface {
	IsZero() bool
	String() string
}) string {
	if v.IsZero() {
		return ""
	}
	return v.String()
}

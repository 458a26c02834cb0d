package tdx

import (
	"crypto/sha512"
	"encoding/hex"
	"fmt"
)

// RegisterSize is the size of a measurement register, SHA-384, in bytes.
const RegisterSize = 48

// Register is the value of MRTD or of one RTMR. In JSON it is 96 lower-case hex digits.
type Register [RegisterSize]byte

// ParseRegister reads exactly 96 lower-case hex digits.
func ParseRegister(s string) (Register, error) {
	var r Register
	if len(s) != 2*RegisterSize {
		return r, fmt.Errorf("register %q has %d hex digits, not %d", abbreviate(s), len(s), 2*RegisterSize)
	}
	b, err := hex.DecodeString(s)
	if err != nil {
		return r, fmt.Errorf("register %q: %w", abbreviate(s), err)
	}
	if hex.EncodeToString(b) != s {
		return r, fmt.Errorf("register %q is not in lower case", abbreviate(s))
	}
	copy(r[:], b)
	return r, nil
}

// String is the 96 hex digits.
func (r Register) String() string { return hex.EncodeToString(r[:]) }

// IsZero says that nothing was ever measured into the register.
func (r Register) IsZero() bool { return r == Register{} }

// MarshalText writes the 96 hex digits.
func (r Register) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText is ParseRegister.
func (r *Register) UnmarshalText(b []byte) error {
	parsed, err := ParseRegister(string(b))
	if err != nil {
		return err
	}
	*r = parsed
	return nil
}

// Registers is a whole measurement: what one TD reports about itself.
type Registers struct {
	MRTD  Register `json:"mrtd"`
	RTMR0 Register `json:"rtmr0"`
	RTMR1 Register `json:"rtmr1"`
	RTMR2 Register `json:"rtmr2"`
	RTMR3 Register `json:"rtmr3"`
}

// RegisterNames are the JSON names of the registers, in the order of Values.
func RegisterNames() [5]string { return [5]string{"mrtd", "rtmr0", "rtmr1", "rtmr2", "rtmr3"} }

// Values are MRTD, RTMR0, RTMR1, RTMR2, RTMR3.
func (r Registers) Values() [5]Register {
	return [5]Register{r.MRTD, r.RTMR0, r.RTMR1, r.RTMR2, r.RTMR3}
}

// Difference is one register in which two measurements disagree.
type Difference struct {
	Name      string
	Want, Got Register
}

// Compare lists every register in which got differs from want, all of them,
// so that one difference never hides another.
func (r Registers) Compare(got Registers) []Difference {
	var out []Difference
	w, g := r.Values(), got.Values()
	for i, name := range RegisterNames() {
		if w[i] != g[i] {
			out = append(out, Difference{Name: name, Want: w[i], Got: g[i]})
		}
	}
	return out
}

func abbreviate(s string) string {
	if len(s) > 16 {
		return s[:16] + "…"
	}
	return s
}

// Extend is TDG.MR.RTMR.EXTEND: SHA384(register ‖ digest).
func (r Register) Extend(digest [RegisterSize]byte) Register {
	return sha512.Sum384(append(r[:], digest[:]...))
}

// ProfileEvent is what a node measures into RTMR3, once, early in boot.
func ProfileEvent(profile string) []byte { return []byte("mero-tee:profile:" + profile) }

// ProfileRTMR3 is the RTMR3 of a node of the given profile:
// SHA384(0^48 ‖ SHA384("mero-tee:profile:{profile}")). Recomputed, never trusted.
func ProfileRTMR3(profile string) Register {
	return Register{}.Extend(sha512.Sum384(ProfileEvent(profile)))
}

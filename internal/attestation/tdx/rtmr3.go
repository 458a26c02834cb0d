package tdx

import "crypto/sha512"

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

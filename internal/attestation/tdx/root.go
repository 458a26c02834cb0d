package tdx

import (
	"encoding/hex"
	"fmt"
)

// IntelRootSHA256 is the SHA-256 of the DER of "Intel SGX Root CA" (serial
// 22650cd65a9d3489f383b49552bf501b392706ac, valid 2018-05-21 to 2049-12-31),
// the root of every TDX quote that Intel's hardware signs. Source: the
// certificate embedded in go-tdx-guest 91f9a52, the same that real quotes carry, hashed with
// openssl and sha256sum on 2026-11-23.
const IntelRootSHA256 = "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3"

// ParseRoot reads a root's SHA-256 as 64 lower-case hex digits.
func ParseRoot(s string) ([32]byte, error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 32 || hex.EncodeToString(b) != s {
		return [32]byte{}, fmt.Errorf("TDX root %.70q is not 64 lower-case hex digits", s)
	}
	return [32]byte(b), nil
}

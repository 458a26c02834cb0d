package measurement

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// SHA256 is a digest; in JSON it is "sha256:" and 64 lower-case hex digits.
type SHA256 [sha256.Size]byte

const sha256Prefix = "sha256:"

// ParseSHA256 reads exactly the form that String writes.
func ParseSHA256(s string) (SHA256, error) {
	var d SHA256
	digits, ok := strings.CutPrefix(s, sha256Prefix)
	if !ok || len(digits) != 2*len(d) || strings.ToLower(digits) != digits {
		return d, fmt.Errorf("digest %.80q is not %s and 64 lower-case hex digits", s, sha256Prefix)
	}
	if _, err := hex.Decode(d[:], []byte(digits)); err != nil {
		return SHA256{}, fmt.Errorf("digest %.80q: %w", s, err)
	}
	return d, nil
}

// Sum is the digest of data.
func Sum(data []byte) SHA256 { return sha256.Sum256(data) }

// String is "sha256:" and 64 hex digits.
func (d SHA256) String() string { return sha256Prefix + hex.EncodeToString(d[:]) }

// IsZero says that no digest was set.
func (d SHA256) IsZero() bool { return d == SHA256{} }

// MarshalText is String.
func (d SHA256) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText is ParseSHA256.
func (d *SHA256) UnmarshalText(b []byte) error {
	parsed, err := ParseSHA256(string(b))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}

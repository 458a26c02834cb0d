// Package digest is the SHA-256 of bytes, streams and files.
//
// Its promise: a digest has one text form, "sha256:" and 64 lower-case hex
// digits, in JSON too, and no other form is read.
package digest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"
)

// Digest is a SHA-256. A [32]byte of another package is assignable to it.
type Digest [sha256.Size]byte

const prefix = "sha256:"

// Of is the digest of data.
func Of(data []byte) Digest { return sha256.Sum256(data) }

// OfReader streams r to its end and returns its digest and its size in bytes.
func OfReader(r io.Reader) (Digest, int64, error) {
	h := sha256.New()
	size, err := io.Copy(h, r)
	return Digest(h.Sum(nil)), size, err
}

// OfFile streams the regular file at path and returns its digest and its size
// in bytes. It does not follow a symbolic link.
func OfFile(path string) (Digest, int64, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return Digest{}, 0, err
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait for ever
		return Digest{}, 0, fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return Digest{}, 0, err
	}
	defer f.Close()
	return OfReader(f)
}

// Parse reads exactly the form that String writes.
func Parse(s string) (Digest, error) {
	digits, ok := strings.CutPrefix(s, prefix)
	if !ok || len(digits) != 2*sha256.Size || strings.ToLower(digits) != digits {
		return Digest{}, fmt.Errorf("digest %.80q is not %s and 64 lower-case hex digits", s, prefix)
	}
	var d Digest
	if _, err := hex.Decode(d[:], []byte(digits)); err != nil {
		return Digest{}, fmt.Errorf("digest %.80q: %w", s, err)
	}
	return d, nil
}

// String is "sha256:" and 64 hex digits.
func (d Digest) String() string { return prefix + d.Hex() }

// Hex is 64 hex digits.
func (d Digest) Hex() string { return hex.EncodeToString(d[:]) }

// IsZero says that no digest was set.
func (d Digest) IsZero() bool { return d == Digest{} }

// MarshalText is String.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText is Parse.
func (d *Digest) UnmarshalText(b []byte) (err error) {
	*d, err = Parse(string(b))
	return err
}

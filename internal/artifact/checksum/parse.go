package checksum

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// MaxSize bounds the file, in bytes: more than 3,000 assets, where GitHub allows 1,000 to a release.
const MaxSize = 1 << 20

const digestDigits = 2 * sha256.Size

// Parse reads the file's bytes and refuses, as fault.Verification, everything
// that Format would not have written. The entries come sorted by name.
func Parse(data []byte) ([]Entry, error) {
	entries, err := parse(data)
	if err != nil {
		return nil, &fault.Error{Code: fault.Verification, Message: release.ChecksumsAsset + " is malformed", Err: err,
			Hint: "it is written by kms:checksums in the format of sha256sum; do not edit it"}
	}
	return entries, nil
}

func parse(data []byte) ([]Entry, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("%d bytes, more than the %d allowed", len(data), MaxSize)
	}
	if len(data) == 0 {
		return nil, fmt.Errorf("it lists nothing")
	}
	body, ended := strings.CutSuffix(string(data), "\n")
	if !ended {
		return nil, fmt.Errorf("the last line does not end in a newline")
	}
	var entries []Entry
	for i, line := range strings.Split(body, "\n") {
		e, err := parseLine(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		if i > 0 && e.Name < entries[i-1].Name {
			return nil, fmt.Errorf("line %d: %s is not in the order of names", i+1, e.Name)
		}
		entries = append(entries, e)
	}
	return entries, checkNames(entries)
}

func parseLine(line string) (e Entry, err error) {
	digits, name, ok := strings.Cut(line, " ")
	if !ok || len(digits) != digestDigits {
		return e, fmt.Errorf("does not begin with %d hex digits and a space", digestDigits)
	}
	if strings.ToLower(digits) != digits {
		return e, fmt.Errorf("the digest has upper-case digits")
	}
	if _, err := hex.Decode(e.Digest[:], []byte(digits)); err != nil {
		return e, fmt.Errorf("the digest: %w", err)
	}
	if strings.HasPrefix(name, "*") {
		return e, fmt.Errorf("has the mark of binary mode")
	}
	if name, ok = strings.CutPrefix(name, " "); !ok {
		return e, fmt.Errorf("one space where there must be two")
	}
	e.Name = name
	return e, nil
}

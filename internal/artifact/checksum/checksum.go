// Package checksum writes and reads checksums.sha256.
//
// Its promise: the file is what GNU sha256sum writes and `sha256sum -c`
// accepts, every set of digests has exactly one form (lower-case hex, two
// spaces, sorted by name, newline at the end), and any other form is refused.
package checksum

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Entry is one line: a file's name and the SHA-256 of its bytes.
type Entry struct {
	Name   string
	Digest digest.Digest
}

// GitHub turns every other character of an asset's name into a dot, and a
// leading dash or dot would be an option or a hidden file to the tools that read the list.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._+-]{0,254}$`)

// Write digests the named files of dir, writes dir/checksums.sha256 and returns
// its entries, sorted by name. Names must be unique and plain; a name that is
// not there is fault.MissingAsset.
func Write(dir string, names []string) ([]Entry, error) {
	entries := make([]Entry, len(names))
	for i, name := range names {
		entries[i].Name = name
	}
	sortByName(entries)
	if err := checkNames(entries); err != nil {
		return nil, &fault.Error{Code: fault.Usage, Message: "cannot list these assets", Err: err}
	}
	err := eachParallel(len(entries), func(i int) (err error) {
		entries[i].Digest, _, err = digest.OfFile(filepath.Join(dir, entries[i].Name))
		return missing(entries[i].Name, err)
	})
	if err != nil {
		return nil, err
	}
	return entries, file.Write(filepath.Join(dir, release.ChecksumsAsset), Format(entries), 0o644)
}

// Format renders entries, which must be sorted by name, as the file's bytes.
func Format(entries []Entry) []byte {
	var b bytes.Buffer
	for _, e := range entries {
		fmt.Fprintf(&b, "%s  %s\n", e.Digest.Hex(), e.Name)
	}
	return b.Bytes()
}

func sortByName(entries []Entry) {
	slices.SortFunc(entries, func(a, b Entry) int { return cmp.Compare(a.Name, b.Name) })
}

func checkNames(sorted []Entry) error {
	for i, e := range sorted {
		if !nameForm.MatchString(e.Name) {
			return fmt.Errorf("%q is not a plain file name", e.Name)
		}
		if e.Name == release.ChecksumsAsset {
			return fmt.Errorf("%s cannot list itself", e.Name)
		}
		if i > 0 && sorted[i-1].Name == e.Name {
			return fmt.Errorf("%s is listed twice", e.Name)
		}
	}
	return nil
}

// missing turns "no such file" into fault.MissingAsset and leaves every other error, and nil, alone.
func missing(name string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return &fault.Error{Code: fault.MissingAsset, Message: name + " is not there", Err: err}
}

// eachParallel calls do for 0 … n-1, as many at a time as there are
// processors, and returns the first error.
func eachParallel(n int, do func(int) error) error {
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range n {
		g.Go(func() error { return do(i) })
	}
	return g.Wait()
}

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

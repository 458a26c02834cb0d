package checksum

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Covers checks that entries list exactly the named files, in any order.
// Every name too few or too many is reported, as fault.Verification.
func Covers(entries []Entry, names []string) error {
	var problems []error
	listed := make(map[string]bool, len(entries))
	for _, e := range entries {
		listed[e.Name] = true
		if !slices.Contains(names, e.Name) {
			problems = append(problems, &fault.Error{Code: fault.Verification,
				Message: fmt.Sprintf("%s lists %s, which no release has", release.ChecksumsAsset, e.Name)})
		}
	}
	for _, name := range names {
		if !listed[name] {
			problems = append(problems, &fault.Error{Code: fault.Verification,
				Message: fmt.Sprintf("%s does not list %s", release.ChecksumsAsset, name)})
		}
	}
	return errors.Join(problems...)
}

// Verify digests each listed file of dir and reports every file that is
// missing (fault.MissingAsset, first) or whose bytes differ (fault.Verification).
func Verify(dir string, entries []Entry) error {
	absent, wrong := make([]error, len(entries)), make([]error, len(entries))
	err := eachParallel(len(entries), func(i int) error {
		e := entries[i]
		got, _, err := digest.OfFile(filepath.Join(dir, e.Name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			absent[i] = missing(e.Name, err)
		case err != nil:
			return err
		default:
			wrong[i] = Match(e, got)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return errors.Join(append(absent, wrong...)...)
}

// Match checks one digest against its entry; the error is fault.Verification
// with both digests. For callers that hash what they download.
func Match(want Entry, got digest.Digest) error {
	if want.Digest == got {
		return nil
	}
	return fault.Mismatch(want.Name+" differs from "+release.ChecksumsAsset, want.Digest.String(), got.String())
}

// missing turns "no such file" into fault.MissingAsset and leaves every other error, and nil, alone.
func missing(name string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return &fault.Error{Code: fault.MissingAsset, Message: name + " is not there", Err: err}
}

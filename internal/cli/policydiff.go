package cli

import (
	"context"
	"io"
	"io/fs"
	"os"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
	"github.com/calimero-network/mero-tee/policies/diff"
)

// PolicyDiff writes what differs between two policies, each a file, a folder,
// or the tag of a KMS release, which is audited first.
func PolicyDiff(ctx context.Context, w io.Writer, from, to string, full bool) error {
	before, err := policySides(ctx, from)
	if err != nil {
		return err
	}
	after, err := policySides(ctx, to)
	if err != nil {
		return err
	}
	var rows []diff.Row
	common := 0
	for _, p := range release.Profiles() {
		a, inBefore := before[p]
		b, inAfter := after[p]
		if inBefore && inAfter {
			rows = append(rows, diff.Rows(a, b)...)
			common++
		}
	}
	if common == 0 {
		return &fault.Error{Code: fault.Usage, Message: "the two have no profile in common",
			Expected: "policies of the same profile", Got: from + " and " + to}
	}
	return diff.WriteTable(w, rows, full)
}

// sides are policies to compare, by profile.
type sides map[release.Profile]diff.Side

func policySides(ctx context.Context, name string) (sides, error) {
	info, err := os.Stat(name)
	switch {
	case err == nil && info.IsDir():
		return folderSides(os.DirFS(name))
	case err == nil:
		data, err := readJSON(name)
		if err != nil {
			return nil, err
		}
		side, err := decodeSide(data)
		return sides{side.Profile: side}, err
	}
	tag, err := parseTag(release.KMS, name)
	if err != nil {
		return nil, &fault.Error{Code: fault.Usage, Message: "neither a policy nor a release",
			Expected: "a file, a folder or mero-kms-vX.Y.Z", Got: name}
	}
	return releasedSides(ctx, tag)
}

// decodeSide tells a working policy from a released one by what it holds.
func decodeSide(data []byte) (diff.Side, error) {
	var w policies.Working
	if canonical.Unmarshal(data, &w) == nil {
		working, err := policies.DecodeWorking(data)
		if err != nil {
			return diff.Side{}, err
		}
		return diff.Working(working), nil
	}
	p, err := policies.Decode(data)
	if err != nil {
		return diff.Side{}, err
	}
	return diff.Released(p), nil
}

// folderSides reads the policies of a release, or, where one is missing, working policies.
func folderSides(fsys fs.FS) (sides, error) {
	out := sides{}
	for _, p := range release.Profiles() {
		data, err := fs.ReadFile(fsys, release.PolicyAsset(p))
		if err != nil {
			working, err := policies.LoadDir(fsys)
			out = sides{}
			for p, w := range working {
				out[p] = diff.Working(w)
			}
			return out, err
		}
		if out[p], err = decodeSide(data); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func releasedSides(ctx context.Context, tag release.Tag) (sides, error) {
	out := sides{}
	return out, operate(ctx, func(o *operator) error {
		return o.reading(ctx, tag, func(dir string) error {
			for _, p := range release.Profiles() {
				policy, err := steps.ReadPolicy(dir, p)
				if err != nil {
					return err
				}
				out[p] = diff.Released(policy)
			}
			return nil
		})
	})
}

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
	return report("policy:diff", diffPolicies(ctx, w, from, to, full))
}

type policySides map[release.Profile]diff.Side

func diffPolicies(ctx context.Context, w io.Writer, from, to string, full bool) error {
	before, err := sidesOf(ctx, from)
	if err != nil {
		return err
	}
	after, err := sidesOf(ctx, to)
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
		return &fault.Error{Code: fault.Usage, Message: "the two have no profile in common", Expected: "policies of the same profile", Got: from + " and " + to}
	}
	return diff.WriteTable(w, rows, full)
}

func sidesOf(ctx context.Context, name string) (policySides, error) {
	info, err := os.Stat(name)
	switch {
	case err == nil && info.IsDir():
		return folderSides(os.DirFS(name))
	case err == nil:
		return fileSides(name)
	}
	tag, err := kmsTag(name)
	if err != nil {
		return nil, &fault.Error{Code: fault.Usage, Message: "neither a policy nor a release", Expected: "a file, a folder or mero-kms-vX.Y.Z", Got: name}
	}
	return releasedSides(ctx, tag)
}

func fileSides(path string) (policySides, error) {
	data, err := readJSON(path)
	if err != nil {
		return nil, err
	}
	side, err := sideIn(data)
	return policySides{side.Profile: side}, err
}

// sideIn tells a working policy from a released one by what it holds.
func sideIn(data []byte) (diff.Side, error) {
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

func folderSides(fsys fs.FS) (policySides, error) {
	out := policySides{}
	for _, p := range release.Profiles() {
		data, err := fs.ReadFile(fsys, release.PolicyAsset(p))
		if err != nil {
			return workingSides(fsys)
		}
		if out[p], err = sideIn(data); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func workingSides(fsys fs.FS) (policySides, error) {
	set, err := policies.LoadDir(fsys)
	out := policySides{}
	for p, w := range set {
		out[p] = diff.Working(w)
	}
	return out, err
}

func releasedSides(ctx context.Context, tag release.Tag) (policySides, error) {
	o, err := openOperator(ctx)
	if err != nil {
		return nil, err
	}
	defer o.world.Close() //nolint:errcheck // nothing was written
	out := policySides{}
	return out, o.reading(ctx, tag, func(dir string) error {
		for _, p := range release.Profiles() {
			policy, err := steps.ReadPolicy(dir, p)
			if err != nil {
				return err
			}
			out[p] = diff.Released(policy)
		}
		return nil
	})
}

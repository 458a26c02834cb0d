package cli

import (
	"context"
	"io"
	"os"
	"path/filepath"

	"github.com/calimero-network/mero-tee/internal/node/evidence"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/release"
)

// RegisterDiff writes which registers moved between two node releases and why.
// A release that is staged in dist/ is read there; any other is downloaded and audited.
func RegisterDiff(ctx context.Context, w io.Writer, from, to string) error {
	before, err := parseTag(release.Node, from)
	if err != nil {
		return err
	}
	after, err := parseTag(release.Node, to)
	if err != nil {
		return err
	}
	return operate(ctx, func(o *operator) error {
		var sides [2]*evidence.Release
		for i, tag := range []release.Tag{before, after} {
			if sides[i], err = o.registersOf(ctx, tag); err != nil {
				return err
			}
		}
		return evidence.WriteDiff(w, sides[0], sides[1])
	})
}

func (o *operator) registersOf(ctx context.Context, tag release.Tag) (side *evidence.Release, err error) {
	staged := filepath.Join(steps.Dir(o.env.Dist, tag), "assets")
	for _, p := range release.Profiles() {
		if _, err := os.Stat(filepath.Join(staged, release.EvidenceAsset(p))); err == nil {
			return evidence.ReadRelease(tag.String()+" (staged)", staged)
		}
	}
	err = o.reading(ctx, tag, func(dir string) error {
		side, err = evidence.ReadRelease(tag.String(), dir)
		return err
	})
	return side, err
}

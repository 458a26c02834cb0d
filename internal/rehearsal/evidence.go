package rehearsal

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/calimero-network/mero-tee/catalog/evidence"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tested"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
	"github.com/calimero-network/mero-tee/policies/propose"
)

// mergeEvidence is the pull requests with evidence of E2E, merged: what the
// branch has already, and what other releases of this rehearsal proposed. A node
// release in published that nobody tested is taken as tested, at that time.
func (w *World) mergeEvidence(ctx context.Context, dir string, own release.Tag, published [][]byte,
	at time.Time) error {
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return err
	}
	client, err := w.Env.GitHub()
	if err != nil {
		return err
	}
	releases, err := client.Releases(ctx)
	if err != nil {
		return err
	}
	main := propose.Reviewed{GitHub: client, Branch: propose.Base}
	if err := w.copyEvidence(ctx, dir, main, func(e *evidence.E2E) bool { return e.Release != own }); err != nil {
		return err
	}
	for _, r := range releases {
		proposed := propose.Reviewed{GitHub: client, Branch: "catalog/" + r.TagName}
		ofIt := func(e *evidence.E2E) bool { return e.Release.String() == r.TagName && e.Release != own }
		if err := w.copyEvidence(ctx, dir, proposed, ofIt); err != nil {
			return err
		}
	}
	for _, data := range published {
		if err := takeAsTested(ctx, dir, data, at); err != nil {
			return err
		}
	}
	return nil
}

// copyEvidence writes what the source has and want takes.
func (w *World) copyEvidence(ctx context.Context, dir string, from evidence.Source,
	want func(*evidence.E2E) bool) error {
	names, err := from.Names(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, _, ok := evidence.ParseName(name); !ok {
			continue
		}
		data, err := from.Read(ctx, name)
		if err != nil {
			return err
		}
		e, err := evidence.Decode(name, data)
		if err != nil {
			return err
		}
		if !want(e) {
			continue
		}
		if err := file.Write(filepath.Join(dir, name), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func takeAsTested(ctx context.Context, dir string, published []byte, at time.Time) error {
	ev, err := policies.EvidenceOf(published)
	if err != nil {
		return err
	}
	tests, err := evidence.Tests(ctx, evidence.Folder{FS: os.DirFS(dir)}, ev.Tag)
	if err != nil || len(tests) > 0 {
		return err
	}
	e, err := tested.Passed(tested.Candidate(ev.Tag), published, at)
	if err != nil {
		return err
	}
	data, err := e.Encode()
	if err != nil {
		return err
	}
	return file.Write(filepath.Join(dir, filepath.Base(e.Path())), data, 0o644)
}

// evidenceOfMain are the merged files, by their place in the repository.
func evidenceOfMain(ctx context.Context, dir string) (map[string][]byte, error) {
	from := evidence.Folder{FS: os.DirFS(dir)}
	names, err := from.Names(ctx)
	out := map[string][]byte{}
	for _, name := range names {
		data, err := from.Read(ctx, name)
		if err != nil {
			return nil, err
		}
		out[evidence.Dir+"/"+name] = data
	}
	return out, err
}

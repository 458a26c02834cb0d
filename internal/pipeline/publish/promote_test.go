package publish_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline/publish"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
)

func TestNothingChangesUnseenBetweenAuditAndPromotion(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		code   fault.Code
		tamper func(t *testing.T, w *world, rel *github.Release, dir string)
	}{
		"a byte changed": {fault.Verification, func(t *testing.T, _ *world, _ *github.Release, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "a.json"), []byte("CONTENT of a.json\n"), 0o644))
		}},
		"an asset deleted": {fault.MissingAsset, func(t *testing.T, _ *world, _ *github.Release, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, "a.json")))
		}},
		"an asset added": {fault.Verification, func(t *testing.T, w *world, rel *github.Release, _ string) {
			path := filepath.Join(t.TempDir(), "more")
			require.NoError(t, os.WriteFile(path, []byte("x"), 0o644))
			_, err := w.run(nil).GitHub.Upload(t.Context(), rel,
				github.File{Name: "more", Size: 1, ContentType: "text/plain", Open: opener(path)})
			require.NoError(t, err)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, p := newWorld(t), plan(t)
			rel, _, err := w.run(nil).Fill(t.Context(), p)
			require.NoError(t, err)
			audited := publish.Digests(rel)
			c.tamper(t, w, rel, filepath.Join(w.dir, "releases", p.Tag.String()))
			r := w.run(nil)
			_, err = r.MakePublic(t.Context(), rel)
			require.Equal(t, c.code, fault.CodeOf(err), "make public: %v", err)
			_, err = r.Promote(t.Context(), rel, audited, approval)
			require.Equal(t, c.code, fault.CodeOf(err), "promote: %v", err)
			require.Empty(t, r.events)
		})
	}
}

func TestPromoteRefuses(t *testing.T) {
	t.Parallel()
	w, p := newWorld(t), plan(t)
	p.Tag.Version.Candidate = 1
	w.push(p.Tag)
	r := w.run(nil)
	rel, _, err := r.Fill(t.Context(), p)
	require.NoError(t, err)
	rel, err = r.MakePublic(t.Context(), rel)
	require.NoError(t, err)
	_, err = r.Promote(t.Context(), rel, publish.Digests(rel), approval)
	require.Equal(t, fault.Usage, fault.CodeOf(err), "a candidate stays a pre-release")

	p = plan(t)
	rel, _, err = r.Fill(t.Context(), p)
	require.NoError(t, err)
	_, err = r.Promote(t.Context(), rel, publish.Digests(rel), approval)
	require.Equal(t, fault.Verification, fault.CodeOf(err), "a draft is not promoted")
	_, err = r.Promote(t.Context(), rel, map[string]string{"a.json": ""}, approval)
	require.Equal(t, fault.Verification, fault.CodeOf(err), "no digest is no proof")
	_, err = r.Promote(t.Context(), &github.Release{TagName: "v1"}, nil, approval)
	require.Equal(t, fault.Usage, fault.CodeOf(err))
}

func TestMakePublicRefusesATagThatMoved(t *testing.T) {
	t.Parallel()
	w, p := newWorld(t), plan(t)
	r := w.run(nil)
	rel, _, err := r.Fill(t.Context(), p)
	require.NoError(t, err)
	w.untag(p.Tag)
	_, err = r.MakePublic(t.Context(), rel)
	require.ErrorContains(t, err, "is not on GitHub", "GitHub would make it at the default branch")
	require.NoError(t, w.server.Push("refs/tags/"+p.Tag.String(), "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", nil))
	_, err = r.MakePublic(t.Context(), rel)
	require.Equal(t, fault.Verification, fault.CodeOf(err))
	require.Len(t, r.events, 6, "a draft and two uploads, nothing public")
	silent := w.draft("mero-kms-v9.0.0", "main")
	_, err = r.MakePublic(t.Context(), silent)
	require.ErrorContains(t, err, "was not made for this commit")
}

func TestLatestNeverGoesBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	promote := func(family release.Family, v release.Version) string {
		t.Helper()
		p := plan(t)
		p.Tag = release.Tag{Family: family, Version: v}
		w.push(p.Tag)
		r := w.run(nil)
		_, err := r.all(t.Context(), p)
		require.NoError(t, err)
		latest, err := r.GitHub.Latest(t.Context())
		require.NoError(t, err)
		return latest.TagName
	}
	require.Equal(t, "mero-kms-v1.2.0", promote(release.KMS, release.Version{Major: 1, Minor: 2}))
	require.Equal(t, "mero-kms-v2.0.0", promote(release.KMS, release.Version{Major: 2}))
	require.Equal(t, "mero-kms-v2.0.0", promote(release.KMS, release.Version{Major: 1, Minor: 2, Patch: 1}),
		"a hotfix of an older line")
	require.Equal(t, "mero-tee-v1.0.0", promote(release.Node, release.Version{Major: 1}), "the families share one latest")
	require.Equal(t, "mero-tee-v1.0.0", promote(release.KMS, release.Version{Major: 1, Minor: 2, Patch: 2}))
	require.Equal(t, "mero-tee-v1.0.0", promote(release.KMS, release.Version{Major: 2}), "run again")
}

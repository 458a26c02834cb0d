package steps_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/publish"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
)

// One process at a time works on a release.
func TestTheReleaseIsLocked(t *testing.T) {
	t.Parallel()
	w := open(t, "mero-tee-v2.0.0")
	_, err := steps.Open(t.Context(), w.Env, w.Tag, w.Console)
	require.Error(t, err)
	require.NoError(t, w.Close())
	again, err := steps.Open(t.Context(), w.Env, w.Tag, w.Console)
	require.NoError(t, err)
	w.Release = again // closed at the end
}

// A kill in the middle of a file leaves it under another name, which would be uploaded as an asset that nobody knows.
func TestAReleaseOpensWithoutWhatAKillLeft(t *testing.T) {
	t.Parallel()
	w := open(t, "mero-tee-v2.0.0")
	w.stage(t, "sbom.spdx.json", "{}")
	left := filepath.Join(w.Assets(), ".sbom.spdx.json.sigstore.json.402134821.tmp")
	require.NoError(t, os.WriteFile(left, nil, 0o600))
	require.NoError(t, w.Close())
	again, err := steps.Open(t.Context(), w.Env, w.Tag, w.Console)
	require.NoError(t, err)
	w.Release = again // closed at the end
	require.NoFileExists(t, left)
	require.FileExists(t, filepath.Join(w.Assets(), "sbom.spdx.json"))
}

func TestCounterpart(t *testing.T) {
	t.Parallel()
	for tag, want := range map[string]string{"mero-tee-v2.0.0": "mero-kms-v1.0.0", "mero-kms-v1.0.0": "mero-tee-v2.0.0"} {
		got, err := open(t, tag).Counterpart()
		require.NoError(t, err)
		require.Equal(t, want, got.String())
	}
	w := open(t, "mero-tee-v2.0.0")
	w.Env.Config.KMSVersion = release.Version{}
	_, err := w.Counterpart()
	require.Error(t, err)
	require.NoFileExists(t, filepath.Join(w.CounterpartDir(), release.MeasurementsAsset), "no counterpart has no files")
}

// "A stable release refuses skipped"; a candidate says so.
func TestJudged(t *testing.T) {
	t.Parallel()
	results := check.Results{check.Pass("a"), check.Skip("b", "no key"), check.NotApplicable("c", "first release")}
	require.NoError(t, open(t, "mero-tee-v2.0.0-rc.1").Judged(results).Err())
	err := open(t, "mero-tee-v2.0.0").Judged(results).Err()
	require.Equal(t, fault.Verification, fault.CodeOf(err))
	require.ErrorContains(t, err, "b")
	require.Equal(t, []string{"pass: a", "skipped: b", "not applicable: c"}, steps.Names(results))
}

// What this tag's release holds, as a draft too, is found by its name; an
// upload that never ended is none.
func TestUploaded(t *testing.T) {
	t.Parallel()
	w := open(t, "mero-tee-v2.0.0")
	data, err := w.Uploaded(t.Context(), "image-record-debug.json")
	require.NoError(t, err)
	require.Nil(t, data, "there is no release")
	w.draft(t, map[string]string{"image-record-debug.json": "the record"})
	data, err = w.Uploaded(t.Context(), "image-record-debug.json")
	require.NoError(t, err)
	require.Equal(t, "the record", string(data))
	data, err = w.Uploaded(t.Context(), "evidence-debug.json")
	require.NoError(t, err)
	require.Nil(t, data)
}

func TestPublishedReleases(t *testing.T) {
	t.Parallel()
	w := open(t, "mero-tee-v2.0.0")
	draft := w.draft(t, nil)
	tags, err := w.Published().Tags(t.Context(), release.Node)
	require.NoError(t, err)
	require.Empty(t, tags, "a draft is no release")
	has, err := w.Published().Has(t.Context(), w.Tag)
	require.NoError(t, err)
	require.False(t, has)
	p := &publish.Publisher{GitHub: w.GitHub}
	_, err = p.MakePublic(t.Context(), draft)
	require.NoError(t, err)
	has, err = w.Published().Has(t.Context(), w.Tag)
	require.NoError(t, err)
	require.True(t, has)
	tags, err = w.Published().Tags(t.Context(), release.KMS)
	require.NoError(t, err)
	require.Empty(t, tags)
	_, err = w.Published().Audited(t.Context(), w.Tag)
	require.Error(t, err, "nobody is trusted here")
}

func TestPublicAssetsOfNoRelease(t *testing.T) {
	t.Parallel()
	w := open(t, "mero-tee-v2.0.0")
	w.draft(t, map[string]string{"sbom.spdx.json": "{}"})
	w.impatient(t)
	_, err := w.PublicAssets(t.Context())
	require.Equal(t, fault.MissingAsset, fault.CodeOf(err), "a draft is not public")
	require.ErrorContains(t, err, "is gone")
}

// What was published a moment ago is never recorded as absent.
func TestPublicAssetsThatAreSeenLate(t *testing.T) {
	t.Parallel()
	w := open(t, "mero-tee-v2.0.0")
	draft := w.draft(t, map[string]string{"sbom.spdx.json": "{}"})
	no := false
	_, err := w.GitHub.Update(t.Context(), draft.ID, github.Patch{Draft: &no, MakeLatest: "false"})
	require.NoError(t, err)
	_, err = w.GitHub.ReleaseByTag(t.Context(), w.Tag.String())
	require.ErrorIs(t, err, github.ErrNotFound)
	got, err := w.PublicAssets(t.Context())
	require.NoError(t, err)
	require.Len(t, got, 1)
	require.Contains(t, got, "sbom.spdx.json")
}

func TestDigestsOfFiles(t *testing.T) {
	t.Parallel()
	w := open(t, "mero-tee-v2.0.0")
	w.stage(t, "sbom.spdx.json", "{}")
	got, err := w.AssetFiles("sbom.spdx.json", "checksums.sha256")(t.Context())
	require.NoError(t, err)
	require.Equal(t, pipeline.Digests{"checksums.sha256": "absent",
		"sbom.spdx.json": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}, got)

	dir := t.TempDir()
	digest := func() string {
		d, err := steps.DirDigest(dir)
		require.NoError(t, err)
		return d
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a"), []byte("bc"), 0o600))
	before := digest()
	require.NoError(t, os.Rename(filepath.Join(dir, "a"), filepath.Join(dir, "ab")))
	require.NotEqual(t, before, digest(), "a name counts")
	require.NoError(t, os.Remove(filepath.Join(dir, "ab")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a"), []byte("bd"), 0o600))
	require.NotEqual(t, before, digest(), "so does a byte")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a"), []byte("bc"), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder"), 0o755))
	require.Equal(t, before, digest())
	absent, err := steps.DirDigest(filepath.Join(dir, "none"))
	require.NoError(t, err)
	require.Equal(t, "absent", absent)
}

func TestRecordsAreReadStrictly(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "record.json")
	type record struct {
		Tag string `json:"tag"`
	}
	require.NoError(t, steps.WriteJSON(path, record{"x"}))
	var got record
	require.NoError(t, steps.ReadJSON(path, &got))
	require.Equal(t, record{"x"}, got)
	for _, bad := range []string{`{"tag":"x","more":1}`, `{"tag":"x","tag":"y"}`, `{"tag":"x"}{}`, ``} {
		require.NoError(t, os.WriteFile(path, []byte(bad), 0o600))
		require.ErrorContains(t, steps.ReadJSON(path, &got), "record.json", bad)
	}
}

// A name leads to nothing but an asset.
func TestPrint(t *testing.T) {
	t.Parallel()
	w := open(t, "mero-tee-v2.0.0")
	w.stage(t, "sbom.spdx.json", "{}\n")
	var b bytes.Buffer
	require.NoError(t, w.Print(&b, "sbom.spdx.json"))
	require.Equal(t, "{}\n", b.String())
	require.Error(t, w.Print(&b, "../ledger.jsonl"))
	require.Error(t, w.Print(&b, "none"))
}

// The guards of a release that nobody prepared say what is missing, and the class is judged before.
func TestGuardsWithoutACatalog(t *testing.T) {
	t.Parallel()
	w := open(t, "mero-tee-v2.0.0")
	_, err := w.Guards(t.Context())
	require.ErrorContains(t, err, "compatibility catalog")
	_, err = w.Staged()
	require.True(t, errors.Is(err, os.ErrNotExist))
	require.NoError(t, os.WriteFile(w.Checkout.Catalog, []byte(`{"schema_version":"1","entries":[]}`), 0o600))
	staged, err := w.Staged()
	require.NoError(t, err)
	require.Len(t, staged.Entries, 1)
	require.False(t, staged.Entries[0].Tested, "declared is not tested")
	require.NoError(t, w.WriteCatalog(staged))
	require.FileExists(t, w.Work(steps.CatalogFile))
}

// A candidate ends where it is.
func TestCandidateIsNotPromoted(t *testing.T) {
	t.Parallel()
	w := open(t, "mero-tee-v2.0.0-rc.1")
	run := pipeline.Run{Ledger: w.Ledger, Console: w.Console,
		Graph: pipeline.Graph{{Name: "node:promote", Title: "promoting", Do: w.Promote}}}
	require.NoError(t, run.All(t.Context()))
	require.Contains(t, w.log.String(), "is a release candidate and stays a pre-release")
}

// A release that was not audited is not promoted.
func TestUnauditedIsNotPromoted(t *testing.T) {
	t.Parallel()
	w, run := promotableService(t)
	w.reviewed(t, run, "approved", "ben")
	require.NoError(t, os.Remove(w.Work(steps.AuditFile)))
	err := w.promote(t)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, steps.AuditFile)
	w.stays(t)
}

package audit_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/audit"
)

func TestCompleteReleasePasses(t *testing.T) {
	t.Parallel()
	for name, dir := range map[string]string{"as made": released(t), "made again": made(t, stable, nil)} {
		for _, known := range []string{commit, ""} {
			report := judge(t, dir, audit.Subject{Tag: stable, Commit: known})
			require.NoError(t, report.Results.Strict().Err(), name)
			require.Equal(t, len(report.Results), report.Results.Count(check.Passed), "nothing is skipped or does not apply")
			require.Equal(t, commit, report.Commit)
			require.Len(t, report.Digests, len(release.KMS.ExpectedAssets()))
		}
	}
}

func TestNodeReleasePasses(t *testing.T) {
	t.Parallel()
	dir := made(t, node, nil)
	report := judge(t, dir, audit.Subject{Tag: node, Commit: commit})
	require.NoError(t, report.Results.Strict().Err())
	require.Len(t, report.Digests, len(release.Node.ExpectedAssets()))
	for _, p := range release.Profiles() {
		require.Contains(t, passed(report.Results), "boots of "+string(p))
	}
	report = judge(t, dir, audit.Subject{Tag: node, Commit: commit, Quick: true})
	require.NoError(t, report.Results.Err())
	require.Error(t, report.Results.Strict().Err(), "a quick check is no whole one")
}

func passed(rs check.Results) []string {
	var out []string
	for _, r := range rs {
		if r.Status == check.Passed {
			out = append(out, r.Name)
		}
	}
	return out
}

// "The expected set of assets is explicit": whichever is missing is named.
func TestMissingAsset(t *testing.T) {
	t.Parallel()
	for _, name := range release.KMS.ExpectedAssets() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := released(t)
			require.NoError(t, os.Remove(filepath.Join(dir, name)))
			report := judge(t, dir, audit.Subject{Tag: stable, Commit: commit})
			err := report.Results.Err()
			require.Equal(t, fault.MissingAsset, fault.CodeOf(err))
			require.ErrorContains(t, err, "asset "+name)
			require.NotContains(t, report.Digests, name)
		})
	}
}

func TestOneByteChanged(t *testing.T) {
	t.Parallel()
	for _, name := range release.KMS.ExpectedAssets() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := released(t)
			path := filepath.Join(dir, name)
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			data[len(data)/2] ^= 1
			require.NoError(t, os.WriteFile(path, data, 0o600))
			report := judge(t, dir, audit.Subject{Tag: stable, Commit: commit})
			require.Equal(t, fault.Verification, fault.CodeOf(report.Results.Err()))
			wrong := failed(report.Results)
			signed := name
			if !slices.Contains(release.KMS.SignedAssets(), name) {
				signed = name[:len(name)-len(release.BundleSuffix)]
				require.Len(t, wrong, 1, "a bundle vouches for one asset")
			}
			require.Contains(t, wrong, "signature of "+signed)
			if slices.Contains(release.KMS.Assets(), name) {
				require.Contains(t, wrong, "checksum of "+name)
			}
		})
	}
}

func TestUnexpectedFile(t *testing.T) {
	t.Parallel()
	dir := released(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "install.sh"), []byte("#!/bin/sh\n"), 0o600))
	report := judge(t, dir, audit.Subject{Tag: stable, Commit: commit})
	require.Equal(t, fault.Verification, fault.CodeOf(report.Results.Err()))
	require.Equal(t, []string{"asset install.sh"}, failed(report.Results))
	require.NotContains(t, report.Digests, "install.sh", "what nothing vouches for is not even downloaded")
}

// A file that only looks like one of the release is not one.
func TestLinkIsMissing(t *testing.T) {
	t.Parallel()
	dir := released(t)
	path := filepath.Join(dir, release.SBOMAsset)
	elsewhere := filepath.Join(t.TempDir(), "sbom")
	require.NoError(t, os.Rename(path, elsewhere))
	require.NoError(t, os.Symlink(elsewhere, path))
	report := judge(t, dir, audit.Subject{Tag: stable})
	require.Equal(t, fault.MissingAsset, fault.CodeOf(report.Results.Err()))
}

func TestQuickSaysWhatItDidNotRead(t *testing.T) {
	t.Parallel()
	dir := made(t, stable, inPolicy(release.Debug, "UpToDate", "Whatever"))
	full := judge(t, dir, audit.Subject{Tag: stable, Commit: commit})
	require.Equal(t, []string{"policy of debug"}, failed(full.Results))
	quick := judge(t, dir, audit.Subject{Tag: stable, Commit: commit, Quick: true})
	require.NoError(t, quick.Results.Err())
	require.Equal(t, 1, quick.Results.Count(check.Skipped))
	require.ErrorContains(t, quick.Results.Strict().Err(), "skipped", "a publisher cannot use it")
	require.NoError(t, os.Remove(filepath.Join(dir, release.SBOMAsset)))
	quick = judge(t, dir, audit.Subject{Tag: stable, Commit: commit, Quick: true})
	require.Equal(t, fault.MissingAsset, fault.CodeOf(quick.Results.Err()))
}

func TestOtherTag(t *testing.T) {
	t.Parallel()
	next := stable
	next.Version.Patch++
	report := judge(t, released(t), audit.Subject{Tag: next, Commit: commit})
	require.Equal(t, fault.Verification, fault.CodeOf(report.Results.Err()))
	wrong := failed(report.Results)
	for _, name := range release.KMS.SignedAssets() {
		require.Contains(t, wrong, "signature of "+name)
	}
	require.Subset(t, wrong, []string{"measurements", "policy of debug", "compose file of debug runs this release"},
		"each says it by itself")
}

// host is a folder whose listing lies.
type host struct {
	audit.Folder
	list func([]audit.Asset) []audit.Asset
	end  error // of every transfer
}

func (h host) Assets(ctx context.Context) ([]audit.Asset, error) {
	assets, err := h.Folder.Assets(ctx)
	if h.list != nil {
		assets = h.list(assets)
	}
	return assets, err
}

func (h host) Fetch(ctx context.Context, name string, w io.Writer) error {
	if h.end != nil {
		return h.end
	}
	return h.Folder.Fetch(ctx, name, w)
}

func TestHostsClaims(t *testing.T) {
	t.Parallel()
	dir := released(t)
	at := func(assets []audit.Asset) *audit.Asset {
		return &assets[slices.IndexFunc(assets, func(a audit.Asset) bool { return a.Name == release.SBOMAsset })]
	}
	good := judge(t, dir, audit.Subject{Tag: stable}).Digests[release.SBOMAsset]
	for name, tc := range map[string]struct {
		list  func([]audit.Asset) []audit.Asset
		wrong []string
	}{
		"the digest of what it serves": {func(a []audit.Asset) []audit.Asset { at(a).Digest = good; return a }, nil},
		"another digest": {func(a []audit.Asset) []audit.Asset {
			at(a).Digest = good[:len(good)-1] + "x"
			return a
		}, []string{"asset sbom.spdx.json"}},
		"an asset twice": {func(a []audit.Asset) []audit.Asset { return append(a, *at(a)) },
			[]string{"asset sbom.spdx.json"}},
		"five gigabytes": {func(a []audit.Asset) []audit.Asset { at(a).Size = 5 << 30; return a },
			[]string{"asset sbom.spdx.json", "checksum of sbom.spdx.json", "signature of sbom.spdx.json", "SBOM"}},
		"a path": {func(a []audit.Asset) []audit.Asset { return append(a, audit.Asset{Name: "../evil"}) },
			[]string{"asset ../evil"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report := judgeSource(t, host{Folder: audit.Folder{Dir: dir}, list: tc.list}, audit.Subject{Tag: stable})
			require.Equal(t, tc.wrong, failed(report.Results))
			if tc.wrong != nil {
				require.Equal(t, fault.Verification, fault.CodeOf(report.Results.Err()))
			}
		})
	}
}

// What is larger than it was listed is not read to its end.
func TestOversizedAsset(t *testing.T) {
	t.Parallel()
	dir := released(t)
	at := filepath.Join(dir, release.PolicyAsset(release.Debug))
	require.NoError(t, os.Truncate(at, 1<<40)) // takes no room
	list := func(assets []audit.Asset) []audit.Asset {
		assets[slices.IndexFunc(assets, func(a audit.Asset) bool { return a.Name == filepath.Base(at) })].Size = 10
		return assets
	}
	for name, source := range map[string]audit.Source{"as it is": audit.Folder{Dir: dir},
		"listed as small": host{Folder: audit.Folder{Dir: dir}, list: list}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report := judgeSource(t, source, audit.Subject{Tag: stable})
			require.Equal(t, fault.Verification, fault.CodeOf(report.Results.Err()))
			require.Subset(t, failed(report.Results), []string{"asset " + filepath.Base(at), "policy of debug"})
			require.Zero(t, report.Results.Count(check.Status("")))
		})
	}
}

// What the source cannot deliver is an error, never a verdict.
func TestSourceThatFails(t *testing.T) {
	t.Parallel()
	subject := audit.Subject{Tag: stable, Repository: repository, Trust: trust(t, local)}
	broken := errors.New("connection reset")
	_, err := audit.Release(t.Context(), host{Folder: audit.Folder{Dir: released(t)}, end: broken}, t.TempDir(), subject)
	require.ErrorIs(t, err, broken)
	require.ErrorContains(t, err, "asset ")
	_, err = audit.Release(t.Context(), audit.Folder{Dir: filepath.Join(t.TempDir(), "none")}, t.TempDir(), subject)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestEmptyFolder(t *testing.T) {
	t.Parallel()
	report := judge(t, t.TempDir(), audit.Subject{Tag: stable})
	require.Equal(t, fault.MissingAsset, fault.CodeOf(report.Results.Err()))
	require.Zero(t, report.Results.Count(check.Passed))
}

package audit_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/artifact/signature"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/audit"
)

func allSignatures() []string {
	var out []string
	for _, name := range release.KMS.SignedAssets() {
		out = append(out, "signature of "+name)
	}
	return out
}

// A release that is right in every byte, but signed by somebody else.
func TestOtherSigner(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*signature.Identity){
		"another workflow":       func(id *signature.Identity) { id.Workflow = "ci.yaml" },
		"the other family's":     func(id *signature.Identity) { id.Workflow = release.Node.Workflow() },
		"for another tag":        func(id *signature.Identity) { id.Tag.Version.Patch++ },
		"for the candidate":      func(id *signature.Identity) { id.Tag.Version.Candidate = 1 },
		"in a fork":              func(id *signature.Identity) { id.Repository = "somebody/mero-tee" },
		"from another commit":    func(id *signature.Identity) { id.Commit = other },
		"the wrong letter case":  func(id *signature.Identity) { id.Repository = "Calimero-Network/mero-tee" },
		"a workflow with suffix": func(id *signature.Identity) { id.Workflow = "x" + id.Workflow },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "release")
			require.NoError(t, stage(dir, stable, nil))
			id := identityOf(stable)
			change(&id)
			require.NoError(t, seal(dir, id))
			report := judge(t, dir, audit.Subject{Tag: stable, Commit: commit})
			require.Equal(t, fault.Verification, fault.CodeOf(report.Results.Err()))
			require.Equal(t, allSignatures(), failed(report.Results))
			require.Empty(t, report.Commit, "no signature stands, so no commit is known")
		})
	}
}

func TestOtherTrustedRoot(t *testing.T) {
	t.Parallel()
	stranger, err := startSigstore(t.Context(), t.TempDir())
	require.NoError(t, err)
	defer func() { require.NoError(t, stranger.Close()) }()
	report := judge(t, released(t), audit.Subject{Tag: stable, Commit: commit, Trust: trust(t, stranger)})
	require.Equal(t, fault.Verification, fault.CodeOf(report.Results.Err()))
	require.Equal(t, allSignatures(), failed(report.Results))
}

func TestBundleOfAnotherAsset(t *testing.T) {
	t.Parallel()
	dir := released(t)
	name := release.PolicyAsset(release.LockedReadOnly)
	bundle, err := os.ReadFile(filepath.Join(dir, release.PolicyAsset(release.Debug)+release.BundleSuffix))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, name+release.BundleSuffix), bundle, 0o600))
	report := judge(t, dir, audit.Subject{Tag: stable, Commit: commit})
	require.Equal(t, fault.Verification, fault.CodeOf(report.Results.Err()))
	require.Equal(t, []string{"signature of " + name}, failed(report.Results))
}

// Whoever does not know the commit still learns that there are two.
func TestCommitsDiffer(t *testing.T) {
	t.Parallel()
	dir := released(t)
	require.NoError(t, os.Remove(filepath.Join(dir, release.SBOMAsset+release.BundleSuffix)))
	id := identityOf(stable)
	id.Commit = other
	only := filepath.Join(t.TempDir(), "only")
	require.NoError(t, stage(only, stable, nil))
	require.NoError(t, seal(only, id))
	require.NoError(t, os.Rename(filepath.Join(only, release.SBOMAsset+release.BundleSuffix),
		filepath.Join(dir, release.SBOMAsset+release.BundleSuffix)))
	report := judge(t, dir, audit.Subject{Tag: stable})
	require.Equal(t, fault.Verification, fault.CodeOf(report.Results.Err()))
	require.Equal(t, []string{"commit"}, failed(report.Results))
	require.Empty(t, report.Commit)
}

// A bundle in another form proves as much, and that somebody else wrote it is said.
func TestABundleInAnotherForm(t *testing.T) {
	t.Parallel()
	dir := released(t)
	path := filepath.Join(dir, release.SBOMAsset+release.BundleSuffix)
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	var indented bytes.Buffer
	require.NoError(t, json.Indent(&indented, raw, "", "\t"))
	require.NoError(t, os.WriteFile(path, indented.Bytes(), 0o600))
	report := judge(t, dir, audit.Subject{Tag: stable, Commit: commit})
	require.NoError(t, report.Results.Err())
	var forms []check.Result
	for _, r := range report.Results {
		if strings.HasPrefix(r.Name, "form of ") {
			forms = append(forms, r)
		}
	}
	require.Len(t, forms, 1)
	require.Equal(t, "form of sbom.spdx.json.sigstore.json", forms[0].Name)
	require.Contains(t, forms[0].Reason, "not ours, which proves nothing less: other JSON")
	for _, r := range judge(t, released(t), audit.Subject{Tag: stable, Commit: commit}).Results {
		require.False(t, strings.HasPrefix(r.Name, "form of "), "ours are in our form")
	}
}

func TestChecksums(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func([]byte) []byte
		wrong  []string
	}{
		"lacks an asset": {func(b []byte) []byte {
			return bytes.Join(slices.DeleteFunc(bytes.SplitAfter(b, []byte("\n")),
				func(l []byte) bool { return bytes.Contains(l, []byte(release.SBOMAsset)) }), nil)
		}, []string{"checksum of sbom.spdx.json"}},
		"lists files that are not assets": {func(b []byte) []byte {
			digest := string(b[:64])
			return append(b, digest+"  zz.sh\n"+digest+"  zzz.sh\n"...)
		}, []string{"checksum of zz.sh", "checksum of zzz.sh"}},
		"another digest": {func(b []byte) []byte { b[0] ^= 1; return b },
			[]string{"checksum of app-compose-debug-read-only.json"}},
		"lines end as in Windows": {func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")) },
			[]string{"checksums"}},
		"no newline at the end": {func(b []byte) []byte { return b[:len(b)-1] }, []string{"checksums"}},
		"empty":                 {func([]byte) []byte { return nil }, []string{"checksums"}},
		"larger than a list is": {func(b []byte) []byte { return append(b, make([]byte, 1<<20)...) }, []string{"checksums"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := released(t)
			path := filepath.Join(dir, release.ChecksumsAsset)
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, tc.change(data), 0o600))
			require.NoError(t, seal(dir, identityOf(stable)), "signed by the right workflow, and still wrong")
			report := judge(t, dir, audit.Subject{Tag: stable, Commit: commit})
			require.Equal(t, fault.Verification, fault.CodeOf(report.Results.Err()))
			require.Equal(t, tc.wrong, failed(report.Results))
		})
	}
}

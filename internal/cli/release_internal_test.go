package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/pipeline/plan"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// The plan of a node release lacks a base image that does not exist, and names
// those that do. A plan that nothing was rehearsed for asks nobody, and leaves nothing.
func TestPlanAsksForTheBaseImage(t *testing.T) {
	t.Parallel()
	const name = "ubuntu-2404-tdx-v20250101" // the spec's example
	root := t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(root, "packer"), os.DirFS("../../packer")))
	require.NoError(t, os.WriteFile(filepath.Join(root, "packer", "base.pkrvars.hcl"), []byte("source_image = \""+name+
		"\"\nsource_image_project = \"ubuntu-os-cloud\"\nsource_image_family = \"ubuntu-2404-tdx\"\n"), 0o600))
	ask := func(root string, f release.Family, rehearsed bool) (check.Results, string) {
		cfg, err := config.Load(func(string) (string, bool) { return "", false })
		require.NoError(t, err)
		w := &workspace{root: root, dist: filepath.Join(t.TempDir(), "dist"), cfg: cfg}
		if rehearsed {
			require.NoError(t, os.MkdirAll(filepath.Join(w.dist, "rehearsal"), 0o700))
		}
		p := &plan.Plan{Subject: plan.Subject{Tag: release.Tag{Family: f, Version: release.Version{Minor: 1}}}}
		require.NoError(t, w.askBase(t.Context(), p))
		return p.Checks, w.dist
	}
	got, _ := ask(root, release.KMS, true)
	require.Empty(t, got, "only node images have one")
	got, dist := ask(root, release.Node, false)
	require.Empty(t, got)
	require.NoDirExists(t, dist)
	got, _ = ask(root, release.Node, true)
	require.Len(t, got, 1)
	require.False(t, got[0].OK())
	if strings.Contains(got[0].Reason, "namespaces") {
		t.Skip(got[0].Reason) // where no VM runs there is no local Compute Engine to ask
	}
	require.Contains(t, got[0].Reason, "the base image that is pinned does not exist")
	require.Equal(t, "image "+name+" of project ubuntu-os-cloud", got[0].Expected)
	require.Contains(t, got[0].Got, "ubuntu-2604-lts-amd64 (ubuntu-2604-resolute-amd64-v20260918)")
	got, _ = ask("../..", release.Node, true)
	require.Len(t, got, 1)
	require.True(t, got[0].OK(), got[0].Reason)
}

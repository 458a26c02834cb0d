package image_test

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/kms/image"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Another builder's digest differs (it packs layers its own way), so file tree
// and configuration are compared: the Dockerfile means the same to both.
func TestBuildahAgrees(t *testing.T) {
	t.Parallel()
	buildah, err := exec.LookPath("buildah")
	if err != nil {
		t.Skip("buildah is not installed: nothing to compare with")
	}
	dir := buildContext(t, 0o700, epoch)
	built, err := image.Build(options(dir))
	require.NoError(t, err)
	ours, theirs := built[release.DebugReadOnly], buildahImage(t, buildah, dir)
	require.Equal(t, tree(t, ours), tree(t, theirs))
	a, err := ours.ConfigFile()
	require.NoError(t, err)
	b, err := theirs.ConfigFile()
	require.NoError(t, err)
	require.Empty(t, b.Config.WorkingDir, "buildah leaves out the root folder, which BuildKit and we write down")
	b.Config.WorkingDir = "/"
	require.Equal(t, a.Config, b.Config)
	require.Equal(t, []string{a.OS, a.Architecture}, []string{b.OS, b.Architecture})
}

// buildahImage builds the shipped Dockerfile with buildah, in a storage of its own.
func buildahImage(t *testing.T, buildah, dir string) v1.Image {
	t.Helper()
	work := t.TempDir()
	policy := filepath.Join(work, "policy.json")
	require.NoError(t, os.WriteFile(policy, []byte(`{"default":[{"type":"insecureAcceptAnything"}]}`), 0o600))
	storage := []string{"--root", filepath.Join(work, "root"), "--runroot", filepath.Join(work, "run"),
		"--storage-driver", "vfs"}
	run := func(args ...string) {
		cmd := exec.CommandContext(t.Context(), buildah, append(storage, args...)...)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	args := []string{"build", "--isolation", "chroot", "--signature-policy", policy, "--format", "oci",
		"--identity-label=false",
		"--timestamp", fmt.Sprint(epoch.Unix()), "--platform", "linux/amd64", "--build-arg", "PROFILE=debug-read-only"}
	for key, value := range map[string]string{image.VersionLabel: version.String(), image.RevisionLabel: revision,
		image.SourceLabel: source, image.CreatedLabel: "2026-11-23T12:00:00Z"} {
		args = append(args, "--label", key+"="+value)
	}
	run(append(args, "--file", shipped, "--tag", "mero-kms", dir)...)
	target := filepath.Join(work, "layout")
	run("push", "--signature-policy", policy, "mero-kms", "oci:"+target)
	path, err := layout.FromPath(target)
	require.NoError(t, err)
	index, err := path.ImageIndex()
	require.NoError(t, err)
	manifest, err := index.IndexManifest()
	require.NoError(t, err)
	img, err := index.Image(manifest.Manifests[0].Digest)
	require.NoError(t, err)
	return img
}

// tree lists the flattened file system: type, mode, owner, size, path and
// content. Some builders repeat the file's type in its mode.
func tree(t *testing.T, img v1.Image) []string {
	t.Helper()
	stream := mutate.Extract(img)
	defer stream.Close()
	var out []string
	archive := tar.NewReader(stream)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		digest, size, err := v1.SHA256(archive)
		require.NoError(t, err)
		out = append(out, fmt.Sprintf("%c %o %d:%d %d %s %s", h.Typeflag, h.Mode&0o7777, h.Uid, h.Gid, size,
			strings.Trim(h.Name, "/"), digest.Hex[:8]))
	}
	sort.Strings(out)
	return out
}

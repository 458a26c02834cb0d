package cli

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/inprocess"
	"github.com/calimero-network/mero-tee/internal/release"
)

// imageMaker makes images that are records alone, and remembers which there are.
type imageMaker struct {
	content error               // of Content
	build   error               // of Build
	change  func(*image.Record) // what another build makes otherwise
	mu      sync.Mutex
	there   map[string]bool
	asked   []string
}

func (m *imageMaker) Content(context.Context, release.Profile) (string, error) {
	return strings.Repeat("ab", 32), m.content
}

func (m *imageMaker) Build(_ context.Context, o image.BuildRequest) (*image.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.there[o.Name] = true
	m.asked = append(m.asked, o.Name)
	r := inprocess.Image{Version: o.Tag.Version, Profile: o.Profile}.Record(o.Commit)
	if m.change != nil {
		m.change(r)
	}
	return r, m.build
}

func (m *imageMaker) Discard(_ context.Context, o image.BuildRequest, image bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if image {
		delete(m.there, o.Name)
	}
	return nil
}

func (m *imageMaker) Programs(context.Context, release.Profile) (string, error) {
	return "", errors.New("not asked")
}

func (m *imageMaker) Drift(context.Context) (image.Drift, error) {
	return image.Drift{}, errors.New("not asked")
}

// committed is a repository with one commit, and its hash.
func committed(t *testing.T) (root, commit string) {
	t.Helper()
	root = t.TempDir()
	git := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", root, "-c", "commit.gpgSign=false", "-c",
			"user.name=t", "-c", "user.email=t@example.invalid"}, args...)...)
		out, err := cmd.Output()
		require.NoError(t, err)
		return strings.TrimSpace(string(out))
	}
	git("init", "-q")
	git("commit", "-q", "--allow-empty", "-m", "One")
	return root, git("rev-parse", "HEAD")
}

// A node release is built again from its commit and compared by its records:
// equal, what differs, a commit that does not build, and a cloud that does not
// build are four answers; and no image is left.
func TestNodeImagesBuiltAgain(t *testing.T) {
	t.Parallel()
	root, commit := committed(t)
	tag := release.Tag{Family: release.Node, Version: release.Version{Major: 1, Minor: 4}}
	for name, tc := range map[string]struct {
		maker    *imageMaker
		commit   string
		profiles []release.Profile
		code     fault.Code
		want     string // in the error, or in what is said
	}{
		"equal":       {&imageMaker{}, commit, release.Profiles(), fault.Success, "is reproduced: UKI sha256:"},
		"one profile": {&imageMaker{}, commit, []release.Profile{release.DebugReadOnly}, fault.Success, "is reproduced: UKI"},
		"by other tools": {&imageMaker{change: func(r *image.Record) { r.Tools.Packer = "2" }}, commit, release.Profiles(),
			fault.Success, "is reproduced: UKI"},
		"another file": {&imageMaker{change: func(r *image.Record) {
			r.Files[0].Mode = "0600"
			r.Content = [32]byte{1}
		}}, commit, release.Profiles(), fault.Verification, "file /etc/mero-profile: 0600 0:0"},
		"a commit that does not build": {&imageMaker{content: errors.New("no agent")}, commit, release.Profiles(),
			fault.Verification, "the release's commit does not build: no agent"},
		"a cloud that does not": {&imageMaker{build: errors.New("no quota")}, commit, release.Profiles(), fault.General,
			"was not built again, so nothing is said about the released one: no quota"},
		"no credentials": {&imageMaker{build: &fault.Error{Code: fault.Usage, Message: "no key"}}, commit,
			release.Profiles(), fault.Usage, "no key"},
		"a commit of nobody's": {&imageMaker{}, strings.Repeat("1", 40), release.Profiles(), fault.General,
			"the release's commit is not in this clone"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.maker.there = map[string]bool{}
			assets := t.TempDir()
			for _, p := range release.Profiles() {
				data, err := inprocess.Image{Version: tag.Version, Profile: p}.Record(commit).Encode()
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(filepath.Join(assets, release.RecordAsset(p)), data, 0o600))
			}
			var said bytes.Buffer
			cloned := ""
			o := &operator{console: console.New(&said, false), env: &environment.Environment{
				Settings: environment.Settings{Root: root, ImagesOf: func(root string) image.Images {
					cloned = root
					return tc.maker
				}}}}
			results, err := o.reproduced(t.Context(), &measurement.Published{Family: release.Node, Tag: tag,
				Commit: tc.commit}, tc.profiles, assets)
			require.Empty(t, tc.maker.there, "no image is left")
			require.NoDirExists(t, cloned)
			if err == nil {
				require.Len(t, results, len(tc.profiles))
				err = results.Report(o.console)
			}
			require.Equal(t, tc.code, fault.CodeOf(err), "%v", err)
			if err != nil {
				said.WriteString(err.Error())
			}
			require.Contains(t, said.String(), tc.want)
			for _, name := range tc.maker.asked {
				require.NotEqual(t, inprocess.Image{Version: tag.Version, Profile: release.Debug}.Name(), name)
			}
		})
	}
}

// Of an image that differs everywhere not everything is said.
func TestManyDifferencesAreCounted(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	o := &operator{console: console.New(&said, false)}
	r := o.compared(release.Debug, "it", make([]string, maxDifferences+7), "")
	require.Equal(t, check.Failed, r.Status)
	require.Contains(t, said.String(), "debug: and 7 more")
}

package build_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/node/build"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/node/packer"
	client "github.com/calimero-network/mero-tee/internal/provider/gce"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/inprocess"
	"github.com/calimero-network/mero-tee/internal/release"
)

var built = inprocess.Image{Version: release.Version{Major: 1}, Profile: release.Debug}

// world is a builder over a local project.
type world struct {
	cloud   *inprocess.Cloud
	options build.Options

	mu   sync.Mutex
	said []string
}

func newWorld(t *testing.T, faults gce.Faults) *world {
	t.Helper()
	w := &world{}
	var err error
	w.cloud, err = inprocess.Open(t.TempDir(), &inprocess.Host{}, faults)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.cloud.Close()) })
	w.options = build.Options{Root: filepath.Join("..", "..", ".."), Project: inprocess.Project, Zone: inprocess.Zone,
		Cloud: w.cloud.Client,
		Env:   func() ([]string, error) { return nil, errors.New("packer was about to run") }, Log: w.say,
		Find: func(program string) (string, error) { return "/usr/bin/" + program, nil }}
	return w
}

func (w *world) say(line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = append(w.said, line)
}

func (w *world) order(t *testing.T) image.BuildRequest {
	t.Helper()
	return image.BuildRequest{Profile: built.Profile, Tag: release.Tag{Family: release.Node, Version: built.Version},
		Name:    built.Name(),
		Content: built.Record("").ContentID, Work: t.TempDir(), Log: w.say,
		Journal: func(e journal.Entry) error { w.say(e.String()); return nil }}
}

// "An existing name is never overwritten."
func TestAnImageOfTheNameExists(t *testing.T) {
	t.Parallel()
	w := newWorld(t, gce.Faults{})
	require.NoError(t, w.cloud.Import(built))
	_, err := build.New(t.Context(), w.options).Build(t.Context(), w.order(t))
	require.Equal(t, fault.Verification, fault.CodeOf(err))
	require.ErrorContains(t, err, "an image of this name exists already")
	require.Equal(t, []string{inprocess.Link(built)}, w.cloud.Server.Resources(), "it is still there")
	require.Empty(t, w.said, "nothing was prepared, nothing begun")
}

// Packer would find out after it has started a VM.
func TestProgramsThatAreNotInstalled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, gce.Faults{})
	w.options.Find = func(program string) (string, error) {
		if program == "ansible-playbook" {
			return "", exec.ErrNotFound
		}
		return "/usr/bin/" + program, nil
	}
	_, err := build.New(t.Context(), w.options).Build(t.Context(), w.order(t))
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Equal(t, "no ansible-playbook", f.Got)
	require.Contains(t, f.Hint, "apt-get install ansible-core; ")
	require.Empty(t, w.said, "nothing was prepared, nothing begun")
}

// Who cannot look cannot know that the name is free.
func TestImagesCannotBeRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, gce.Faults{Denied: []string{"compute.images.get"}})
	_, err := build.New(t.Context(), w.options).Build(t.Context(), w.order(t))
	require.Equal(t, fault.Usage, fault.CodeOf(err))
	require.ErrorContains(t, err, "compute.images.get")
}

// What an interrupted build left goes by its names and labels; of others' nothing does.
func TestDiscard(t *testing.T) {
	t.Parallel()
	for name, whole := range map[string]bool{"the image too": true, "the machines alone": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, gce.Faults{Silent: true})
			require.NoError(t, w.cloud.Import(built))
			other := inprocess.Image{Version: built.Version, Profile: release.LockedReadOnly}
			require.NoError(t, w.cloud.Import(other))
			w.leave(t, "mero-build-debug-"+built.Name()[len(built.Name())-8:],
				client.RunLabel("mero-tee-v1.0.0", "build", "debug"))
			w.leave(t, "mero-build-debug-of-another", client.RunLabel("mero-tee-v2.0.0", "build", "debug"))
			require.NoError(t, build.New(t.Context(), w.options).Discard(t.Context(), w.order(t), whole))
			left := strings.Join(w.cloud.Server.Resources(), "\n")
			require.Equal(t, !whole, strings.Contains(left, inprocess.Link(built)))
			require.Contains(t, left, inprocess.Link(other))
			require.Contains(t, left, "/instances/mero-build-debug-of-another")
			require.NotContains(t, left, "mero-build-debug-"+built.Name()[len(built.Name())-8:])
			require.Contains(t, strings.Join(w.said, "\n"), "deleted vm mero-build-debug-")
		})
	}
}

// A disk that is in use for a moment is waited for; one that cannot be deleted is
// reported, and the image goes all the same.
func TestDiscardTriesEverything(t *testing.T) {
	t.Parallel()
	for name, refusal := range map[string]gce.Refusal{
		"in use for a moment": {Call: "disks.delete", Times: 3, Status: http.StatusBadRequest},
		"refused for good":    {Call: "disks.delete", Times: 100, Status: http.StatusConflict},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, gce.Faults{Silent: true, Refusals: []gce.Refusal{refusal}})
			require.NoError(t, w.cloud.Import(built))
			w.leave(t, "mero-build-debug-"+built.Name()[len(built.Name())-8:],
				client.RunLabel("mero-tee-v1.0.0", "build", "debug"))
			err := build.New(t.Context(), w.options).Discard(t.Context(), w.order(t), true)
			require.Empty(t, w.cloud.Server.Resources(), "%v", err)
			require.Equal(t, refusal.Status == http.StatusConflict, err != nil, "%v", err)
		})
	}
}

// leave boots a VM and nobody deletes it.
func (w *world) leave(t *testing.T, name, run string) {
	t.Helper()
	c, err := w.cloud.Client(t.Context(), nil)
	require.NoError(t, err)
	_, err = c.Boot(t.Context(), client.VM{Name: name, Image: "https://www.googleapis.com/compute/v1/" +
		inprocess.Link(built),
		Labels: map[string]string{client.LabelRun: run}, MaxRun: time.Hour})
	require.NoError(t, err)
}

func TestDrift(t *testing.T) {
	t.Parallel()
	base, err := packer.ReadBase(filepath.Join("..", "..", ".."))
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		there []string // images of the pin's family
		want  string
	}{
		"none": {[]string{base.Image}, "the base image " + base.Image + " is the newest of " + base.Family},
		"a newer one": {[]string{base.Image, base.Family + "-v20990101"},
			"has " + base.Family + "-v20990101: moving the pin (packer/base.pkrvars.hcl) changes RTMR1 and RTMR2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, gce.Faults{})
			for i, name := range tc.there {
				w.public(t, base.Project, &computepb.Image{Name: new(name), Family: new(base.Family),
					CreationTimestamp: new(fmt.Sprintf("2026-01-%02dT00:00:00Z", i+1))})
			}
			drift, err := build.New(t.Context(), w.options).Drift(t.Context())
			require.NoError(t, err)
			require.Contains(t, drift.String(), tc.want)
		})
	}
}

// public puts an image into somebody else's project.
func (w *world) public(t *testing.T, project string, image *computepb.Image) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "image.tar")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.NoError(t, w.cloud.Server.Import(project, image, file))
}

// based puts the pinned base image where builds look for it.
func (w *world) based(t *testing.T) {
	t.Helper()
	base, err := packer.ReadBase(w.options.Root)
	require.NoError(t, err)
	w.public(t, base.Project, &computepb.Image{Name: &base.Image, Family: &base.Family})
}

// A pin that does not exist stops a build before a VM is started, and doctor; the
// error names the families that there are, for a TDX VM, each with its newest image.
func TestAnUnknownBaseImage(t *testing.T) {
	t.Parallel()
	base, err := packer.ReadBase(filepath.Join("..", "..", ".."))
	require.NoError(t, err)
	tdx := []*computepb.GuestOsFeature{{Type: new("TDX_CAPABLE")}}
	image := func(name, family string, features []*computepb.GuestOsFeature, state string) *computepb.Image {
		out := &computepb.Image{Name: &name, Family: &family, GuestOsFeatures: features}
		if state != "" {
			out.Deprecated = &computepb.DeprecationStatus{State: &state}
		}
		return out
	}
	for name, tc := range map[string]struct {
		there          []*computepb.Image
		expected, want string
	}{
		"nothing": {nil, "image " + base.Image + " of project " + base.Project,
			"no images that these credentials see in that project"},
		"others": {[]*computepb.Image{image("ubuntu-2204-v20260101", "ubuntu-2204", tdx, ""),
			image("ubuntu-2404-v20260101", "ubuntu-2404", tdx, "DEPRECATED"),
			image("ubuntu-2404-v20260201", "ubuntu-2404", tdx, ""), image("arm-v20260101", "arm", nil, "")},
			"image " + base.Image + " of project " + base.Project,
			"2 families that boot TDX VMs: ubuntu-2204 (ubuntu-2204-v20260101), ubuntu-2404 (ubuntu-2404-v20260201)"},
		"none for TDX": {[]*computepb.Image{image("arm-v20260101", "arm", nil, "")},
			"image " + base.Image + " of project " + base.Project, "no family in that project that boots a TDX VM"},
		"its family has ended": {[]*computepb.Image{image(base.Image, base.Family, tdx, "OBSOLETE"),
			image("ubuntu-2204-v20260101", "ubuntu-2204", tdx, "")},
			"an image in family " + base.Family + " of project " + base.Project, "1 families that boot TDX VMs: ubuntu-2204 ("},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, gce.Faults{})
			for _, image := range tc.there {
				w.public(t, base.Project, image)
			}
			b := build.New(t.Context(), w.options)
			_, drift := b.Drift(t.Context())
			errs := []error{drift}
			if !strings.HasPrefix(tc.expected, "an image in family") { // no build reads the family
				_, built := b.Build(t.Context(), w.order(t))
				errs = append(errs, built)
			}
			for _, err := range errs {
				var f *fault.Error
				require.ErrorAs(t, err, &f)
				require.Equal(t, fault.Usage, f.Code)
				require.Equal(t, "the base image that is pinned does not exist", f.Message)
				require.Equal(t, tc.expected, f.Expected)
				require.Contains(t, f.Got, tc.want)
				require.Contains(t, f.Hint, "packer/base.pkrvars.hcl")
			}
			require.Empty(t, w.cloud.Server.Resources(), "no VM was started")
		})
	}
}

// unpinned is a copy of the repository's packer/ whose base image is a family.
func unpinned(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(root, "packer"), os.DirFS(filepath.Join("..", "..", "..", "packer"))))
	path := filepath.Join(root, "packer", "base.pkrvars.hcl")
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	base, err := packer.ReadBase(root)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path,
		[]byte(strings.Replace(string(data), `"`+base.Image+`"`, `"`+base.Family+`"`, 1)), 0o600))
	return root
}

func TestUnpinnedBaseImage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, gce.Faults{})
	w.options.Root = unpinned(t)
	b := build.New(t.Context(), w.options)
	_, content := b.Content(t.Context(), release.Debug)
	_, build := b.Build(t.Context(), w.order(t))
	_, drift := b.Drift(t.Context())
	for what, err := range map[string]error{"content": content, "build": build, "drift": drift} {
		require.Equal(t, fault.Usage, fault.CodeOf(err), what)
		require.ErrorContains(t, err, "the base image is not pinned", what)
	}
	require.Empty(t, w.cloud.Server.Resources())
}

// companions serves stand-ins and pins them.
func companions(t *testing.T, o *build.Options) {
	t.Helper()
	packed := archive(t, "program", '0', "a program")
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(packed) }))
	t.Cleanup(s.Close)
	o.Fetch = build.Fetcher{Transport: http.DefaultTransport}
	o.Pins = func(names []string) (out []packer.Pin, err error) {
		for _, name := range names {
			out = append(out, packer.Pin{Name: name, Version: "1", URL: s.URL, SHA256: digest.Of(packed), Member: "program"})
		}
		return out, nil
	}
}

// ownCache gives the test a cache of its own, but for what Go compiled.
func ownCache(t *testing.T) {
	t.Helper()
	compiled, err := exec.CommandContext(t.Context(), "go", "env", "GOCACHE").Output()
	require.NoError(t, err)
	t.Setenv("GOCACHE", strings.TrimSpace(string(compiled)))
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
}

// A program that is not what its pin says stops whatever wants the program.
// Not parallel: it has a cache of its own.
func TestACompanionThatIsNotItsPin(t *testing.T) {
	ownCache(t)
	w := newWorld(t, gce.Faults{})
	w.based(t)
	companions(t, &w.options)
	pins := w.options.Pins
	w.options.Pins = func(names []string) ([]packer.Pin, error) {
		out, err := pins(names)
		out[len(out)-1].SHA256[0] ^= 1
		return out, err
	}
	b := build.New(t.Context(), w.options)
	for _, f := range []func() error{
		func() error { _, err := b.Build(t.Context(), w.order(t)); return err },
		func() error { _, err := b.Programs(t.Context(), release.Debug); return err },
	} {
		err := f()
		require.Equal(t, fault.Verification, fault.CodeOf(err))
		require.ErrorContains(t, err, "is not what packer/companions.json pins")
	}
	require.Empty(t, w.cloud.Server.Resources())
}

// The content id is that of what goes in: the same each time, another for
// another profile or another root of trust; and the programs lie ready.
func TestContentAndPrograms(t *testing.T) {
	ownCache(t)
	w := newWorld(t, gce.Faults{})
	w.based(t)
	companions(t, &w.options)
	b := build.New(t.Context(), w.options)
	seen := map[string]release.Profile{}
	for _, p := range release.Profiles() {
		id, err := b.Content(t.Context(), p)
		require.NoError(t, err)
		require.Regexp(t, `^[0-9a-f]{64}$`, id)
		require.NotContains(t, seen, id)
		seen[id] = p
	}
	require.Empty(t, w.said, "nothing is fetched to know what an image would be called")
	again, other := build.New(t.Context(), w.options), w.options
	id, err := again.Content(t.Context(), release.Debug)
	require.NoError(t, err)
	require.Equal(t, release.Debug, seen[id])
	other.TDXRoot = strings.Repeat("0", 64)
	id, err = build.New(t.Context(), other).Content(t.Context(), release.Debug)
	require.NoError(t, err)
	require.NotContains(t, seen, id)

	dir, err := b.Programs(t.Context(), release.Debug)
	require.NoError(t, err)
	fetched := len(w.said)
	require.NotZero(t, fetched)
	_, err = again.Programs(t.Context(), release.Debug)
	require.NoError(t, err)
	require.Len(t, w.said, fetched, "nothing is fetched twice")
	for _, name := range []string{"mero-agent", "mero-predict", "merod", "traefik"} {
		_, size, err := digest.OfFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.NotZero(t, size)
	}
	_, err = b.Content(t.Context(), "production")
	require.Equal(t, fault.Usage, fault.CodeOf(err))
	require.ErrorContains(t, err, "unknown profile")
	_, err = b.Build(t.Context(), w.order(t))
	require.ErrorContains(t, err, "packer was about to run", "the name is free, and all is there")
}

// A cloud that cannot be reached is no free name.
func TestNoCloud(t *testing.T) {
	t.Parallel()
	w := newWorld(t, gce.Faults{})
	w.options.Cloud = func(context.Context, journal.Journal) (*client.Client, error) {
		return nil, context.DeadlineExceeded
	}
	b := build.New(t.Context(), w.options)
	_, build := b.Build(t.Context(), w.order(t))
	_, drift := b.Drift(t.Context())
	for _, err := range []error{build, drift, b.Discard(t.Context(), w.order(t), true)} {
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
}

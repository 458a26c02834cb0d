package gce_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	api "google.golang.org/api/compute/v1"

	"github.com/calimero-network/mero-tee/internal/rehearsal/gce"
)

// kill copies what is on the disk at this instant, as a kill -9 would leave it,
// and opens it again.
func (w *world) kill() *world {
	w.Helper()
	state := w.TempDir()
	require.NoError(w, filepath.WalkDir(w.state, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(w.state, path)
		if err != nil || d.IsDir() {
			_ = os.MkdirAll(filepath.Join(state, rel), 0o755)
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(state, rel), data, 0o600)
	}))
	return openWorld(w.T, state)
}

func TestAKillLeavesWhatSweepFinds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.succeeds(w.insert(vm("running")))
	w.succeeds(w.api.Disks.Insert(ours, zone, &api.Disk{Name: "d", SourceImage: base}).Do())
	w.succeeds(w.api.Images.Insert(ours, &api.Image{Name: "i", SourceDisk: path("disks", "d"), Labels: map[string]string{"owner": "mero-tee"}}).Do())
	w.machines.block = make(chan struct{})
	_, err := w.insert(vm("half"))
	require.NoError(t, err)

	for _, partial := range []string{"disks/.half-disk.1.tmp/etc", "images/rehearsal/.i.tar.1.tmp"} {
		require.NoError(t, os.MkdirAll(filepath.Join(w.state, partial), 0o755))
	}
	before := w.server.Resources()
	k := w.kill()
	require.Equal(t, before, k.server.Resources())
	_, ok := k.server.Image(ours, "i")
	require.True(t, ok)
	list, err := k.api.Instances.List(ours, zone).Filter(`labels.owner = "mero-tee"`).Do()
	require.NoError(t, err)
	require.Len(t, list.Items, 2)
	for _, in := range list.Items {
		require.Equal(t, "TERMINATED", in.Status, in.Name)
		require.Empty(t, in.NetworkInterfaces[0].AccessConfigs[0].NatIP)
		k.succeeds(k.api.Instances.Delete(ours, zone, in.Name).Do())
	}
	half, err := k.api.Disks.Get(ours, zone, "half-disk").Do()
	require.NoError(t, err)
	require.Equal(t, "FAILED", half.Status)
	_, err = k.api.Images.Insert(ours, &api.Image{Name: "bad", SourceDisk: half.SelfLink}).Do()
	requireReason(t, err, 400, "resourceNotReady")
	for _, name := range []string{"half-disk", "running-disk", "d"} {
		k.succeeds(k.api.Disks.Delete(ours, zone, name).Do())
	}
	k.succeeds(k.api.Images.Delete(ours, "i").Do())
	require.Empty(t, k.server.Resources())
	require.Empty(t, files(t, k.state, "disks", "instances", "images/"+ours))
	close(w.machines.block)
}

// files lists what is left in some folders.
func files(t *testing.T, state string, folders ...string) (all []string) {
	t.Helper()
	for _, folder := range folders {
		entries, err := os.ReadDir(filepath.Join(state, folder))
		require.NoError(t, err)
		for _, e := range entries {
			all = append(all, filepath.Join(folder, e.Name()))
		}
	}
	return all
}

// removers are machines that delete their disks themselves.
type removers struct {
	*machines
	removed []string
}

func (r *removers) Remove(_ context.Context, disk string) error {
	r.removed = append(r.removed, filepath.Base(disk))
	return os.RemoveAll(disk)
}

func TestMachinesThatRemoveTheirDisks(t *testing.T) {
	t.Parallel()
	r := &removers{machines: newMachines()}
	s := newServer(t, gce.Options{State: t.TempDir(), Hosts: r})
	w := &world{T: t, server: s}
	w.connect(s)
	w.succeeds(w.api.Disks.Insert(ours, zone, &api.Disk{Name: "d"}).Do())
	w.succeeds(w.api.Disks.Delete(ours, zone, "d").Do())
	require.Equal(t, []string{"d"}, r.removed)
}

// The cloud goes on with an image when its client has died.
func TestAKillDuringAnImage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.succeeds(w.api.Disks.Insert(ours, zone, &api.Disk{Name: "d", SourceImage: base}).Do())
	w.machines.block = make(chan struct{})
	op, err := w.api.Images.Insert(ours, &api.Image{Name: "i", SourceDisk: path("disks", "d")}).Do()
	require.NoError(t, err)
	_, err = w.api.Disks.Delete(ours, zone, "d").Do()
	requireReason(t, err, 400, "resourceInUseByAnotherResource")
	_, err = w.api.Images.Delete(ours, "i").Do()
	requireReason(t, err, 400, "resourceNotReady")
	_, err = w.api.Images.GetFromFamily(ours, "").Do()
	require.Error(t, err)

	k := w.kill()
	require.Eventually(t, func() bool { _, ok := k.server.Image(ours, "i"); return ok }, waitFor, tick)
	close(w.machines.block)
	w.succeeds(op, nil)
}

// An image whose disk is gone as well cannot be made any more.
func TestAKillDuringAnImageWhoseDiskIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.succeeds(w.api.Disks.Insert(ours, zone, &api.Disk{Name: "d", SourceImage: base}).Do())
	w.machines.block = make(chan struct{})
	defer close(w.machines.block)
	_, err := w.api.Images.Insert(ours, &api.Image{Name: "i", SourceDisk: path("disks", "d")}).Do()
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(w.state, "disks", "d.json")))
	require.Empty(t, w.kill().server.Resources())
}

func TestCloseStopsEveryInstance(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.succeeds(w.insert(vm("a")))
	w.machines.block = make(chan struct{}) // never opened: only Close ends this one
	_, err := w.insert(vm("b"))
	require.NoError(t, err)
	require.NoError(t, w.server.Close())
	_, m := w.machines.last()
	require.True(t, m.stopped())
	_, err = w.api.Zones.Get(ours, zone).Do()
	requireReason(t, err, 503, "backendError")
	k := openWorld(t, w.state)
	list, err := k.api.Instances.List(ours, zone).Do()
	require.NoError(t, err)
	require.Len(t, list.Items, 2)
	require.Equal(t, "TERMINATED", list.Items[0].Status)
	require.Equal(t, "TERMINATED", list.Items[1].Status)
}

func TestDamagedStateIsRefused(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{"disks/d.json": `{"name":"d","colour":"red"}`, "instances/i.json": `{`,
		"images/rehearsal/i.json": `[]`, "service-account.json": `{"type":"service_account"}`} {
		state := t.TempDir()
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(state, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(state, name), []byte(content), 0o600))
		_, err := gce.New(gce.Options{State: state, Project: ours, Zone: zone, Hosts: newMachines()})
		require.ErrorContains(t, err, filepath.Base(name))
	}
	_, err := gce.New(gce.Options{State: t.TempDir(), Project: ours, Zone: "nowhere", Hosts: newMachines()})
	require.Error(t, err)
}

func TestImportHappensOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file, ok := w.server.Image("ubuntu-os-cloud", "ubuntu-1")
	require.True(t, ok)
	other := w.base()
	require.NoError(t, os.WriteFile(other, []byte("another"), 0o600))
	require.NoError(t, w.server.Import(t.Context(), "ubuntu-os-cloud", &api.Image{Name: "ubuntu-1"}, other))
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "base", string(data))
	require.Error(t, w.server.Import(t.Context(), "ubuntu-os-cloud", &api.Image{Name: "../x"}, other))
	require.Error(t, w.server.Import(t.Context(), "../x", &api.Image{Name: "x"}, other))
	require.Error(t, w.server.Import(t.Context(), "debian-cloud", &api.Image{Name: "x"}, other+"-"))
	_, ok = w.server.Image("debian-cloud", "x")
	require.False(t, ok)
}

// A machine that has booted when the server has begun to close is not left behind.
func TestCloseDuringABoot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.machines.booting = make(chan struct{})
	_, err := w.insert(vm("a"))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		in, err := w.api.Instances.Get(ours, zone, "a").Do()
		return err == nil && in.Status == "STAGING"
	}, waitFor, tick)
	closed := make(chan error)
	go func() { closed <- w.server.Close() }()
	require.Eventually(t, func() bool { _, err := w.api.Zones.Get(ours, zone).Do(); return err != nil }, waitFor, tick)
	close(w.machines.booting)
	require.NoError(t, <-closed)
	_, m := w.machines.last()
	require.True(t, m.stopped())
}

// Whatever an instance's making has come to, Close ends it and leaves it listed.
func TestCloseAtAnyInstant(t *testing.T) {
	t.Parallel()
	for range 40 {
		w := newWorld(t)
		w.machines.block = make(chan struct{})
		_, err := w.insert(vm("a"))
		require.NoError(t, err)
		closed := make(chan error)
		go func() { closed <- w.server.Close() }()
		close(w.machines.block)
		require.NoError(t, <-closed)
		for _, m := range w.machines.all {
			require.True(t, m.stopped())
		}
		require.Contains(t, w.server.Resources(), path("instances", "a"))
	}
}

// Where a link cannot reach, the file is copied.
func TestImportFromAnotherFileSystem(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("/dev/shm", "gce-")
	if err != nil {
		t.Skip("no file system in memory")
	}
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	w := newWorld(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "far.tar"), []byte("far"), 0o600))
	require.NoError(t, w.server.Import(t.Context(), ours, &api.Image{Name: "far"}, filepath.Join(dir, "far.tar")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "far.tar"), []byte("changed"), 0o600))
	file, _ := w.server.Image(ours, "far")
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "far", string(data))
}

func TestMountedDisksAreNotRemoved(t *testing.T) {
	t.Parallel()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Skip("not Linux")
	}
	for line := range strings.Lines(string(mounts)) {
		at := strings.Fields(line)[4]
		require.ErrorContains(t, gce.Unmounted(at), "mounted")
		if above := filepath.Dir(at); above != "/" {
			require.ErrorContains(t, gce.Unmounted(above), "mounted")
		}
	}
	require.NoError(t, gce.Unmounted(t.TempDir()))
}

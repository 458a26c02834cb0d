package gce_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/hang"
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
	w.succeeds(w.insertDisk(&computepb.Disk{Name: new("d"), SourceImage: new(base)}))
	w.succeeds(w.insertImage(&computepb.Image{Name: new("i"), SourceDisk: new(path("disks", "d")),
		Labels: map[string]string{"owner": "mero-tee"}}))
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
	list, err := k.instances("filter", "labels.owner=mero-tee")
	require.NoError(t, err)
	require.Len(t, list.Instances, 2)
	for _, in := range list.Instances {
		require.Equal(t, "TERMINATED", in.GetStatus(), in.GetName())
		require.Empty(t, in.NetworkInterfaces[0].AccessConfigs[0].GetNatIP())
		k.succeeds(k.delete(path("instances", in.GetName())))
	}
	half, err := k.disk("half-disk")
	require.NoError(t, err)
	require.Equal(t, "FAILED", half.GetStatus())
	_, err = k.insertImage(&computepb.Image{Name: new("bad"), SourceDisk: half.SelfLink})
	requireReason(t, err, 400, "resourceNotReady")
	for _, name := range []string{"half-disk", "running-disk", "d"} {
		k.succeeds(k.delete(path("disks", name)))
	}
	k.succeeds(k.delete(imagePath("i")))
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
	s := newServer(t, gce.Options{State: t.TempDir(), Host: r})
	w := &world{T: t, server: s}
	w.connect(s)
	file := filepath.Join(t.TempDir(), "base.tar")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.NoError(t, s.Import(ours, &computepb.Image{Name: new("i")}, file))
	for name, disk := range map[string]*computepb.Disk{"d": {SourceImage: new(imagePath("i"))},
		"raw": {SizeGb: new(int64(1))}} {
		disk.Name = &name
		w.succeeds(w.insertDisk(disk))
		w.succeeds(w.delete(path("disks", name)))
	}
	require.Equal(t, []string{"d"}, r.removed, "a raw file is the server's own")
}

// The cloud goes on with an image when its client has died.
func TestAKillDuringAnImage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.succeeds(w.insertDisk(&computepb.Disk{Name: new("d"), SourceImage: new(base)}))
	w.machines.block = make(chan struct{})
	op, err := w.insertImage(&computepb.Image{Name: new("i"), SourceDisk: new(path("disks", "d"))})
	require.NoError(t, err)
	_, err = w.delete(path("disks", "d"))
	requireReason(t, err, 400, "resourceInUseByAnotherResource")
	_, err = w.delete(imagePath("i"))
	requireReason(t, err, 400, "resourceNotReady")
	_, err = w.newest(ours, "")
	require.Error(t, err)

	k := w.kill()
	require.Eventually(t, func() bool { _, ok := k.server.Image(ours, "i"); return ok }, hang.Limit(t), tick)
	close(w.machines.block)
	w.succeeds(op, nil)
}

// So it does with one of a raw disk; what was half copied is removed.
func TestAnEndDuringARawImage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, gce.Faults{Slow: map[string]time.Duration{"images.insert": time.Hour}})
	w.blank("d", 1)
	writeAt(t, filepath.Join(w.state, "disks", "d.raw"), 1<<20, "written")
	_, err := w.insertImage(&computepb.Image{Name: new("i"), SourceDisk: new(path("disks", "d"))})
	require.NoError(t, err)
	half := filepath.Join(w.state, "images", ours, ".i.raw.1.tmp")
	require.NoError(t, os.WriteFile(half, []byte("half"), 0o600))
	require.NoError(t, w.server.Close())

	k := openWorld(t, w.state)
	require.Eventually(t, func() bool { _, ok := k.server.Image(ours, "i"); return ok }, hang.Limit(t), tick)
	require.NoFileExists(t, half)
	file, _ := k.server.Image(ours, "i")
	require.Equal(t, "written", readAt(t, file, 1<<20, 7))
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Zero(t, info.Mode().Perm()&0o222, "nobody writes to it")
}

// An image whose disk is gone as well cannot be made any more.
func TestAKillDuringAnImageWhoseDiskIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.succeeds(w.insertDisk(&computepb.Disk{Name: new("d"), SourceImage: new(base)}))
	w.machines.block = make(chan struct{})
	defer close(w.machines.block)
	_, err := w.insertImage(&computepb.Image{Name: new("i"), SourceDisk: new(path("disks", "d"))})
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
	err = w.zone()
	requireReason(t, err, 503, "backendError")
	k := openWorld(t, w.state)
	list, err := k.instances()
	require.NoError(t, err)
	require.Len(t, list.Instances, 2)
	require.Equal(t, "TERMINATED", list.Instances[0].GetStatus())
	require.Equal(t, "TERMINATED", list.Instances[1].GetStatus())
}

// What was kept before the messages were those of computepb is taken up whole.
func TestStateOfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	require.NoError(t, os.CopyFS(state, os.DirFS("testdata/kept")))
	w := openWorld(t, state)
	require.Equal(t, []string{imagePath("i"), path("disks", "a-disk"), path("disks", "d"), path("instances", "a")},
		w.server.Resources())
	in, err := w.instance("a")
	require.NoError(t, err)
	require.Equal(t, "TERMINATED", in.GetStatus())
	require.EqualValues(t, 1800, in.GetScheduling().GetMaxRunDuration().GetSeconds())
	image, err := w.image("i")
	require.NoError(t, err)
	require.EqualValues(t, 10, image.GetDiskSizeGb())
	require.Equal(t, map[string]string{"owner": "mero-tee"}, image.GetLabels())
	w.succeeds(w.delete(path("instances", "a")))
	w.succeeds(w.delete(path("disks", "d")))
	require.Equal(t, []string{imagePath("i")}, w.server.Resources(), "a-disk went with its instance")
}

func TestDamagedStateIsRefused(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{"disks/d.json": `{"name":"d","colour":"red"}`, "instances/i.json": `{`,
		"images/rehearsal/i.json": `[]`, "service-account.json": `{"type":"service_account"}`} {
		state := t.TempDir()
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(state, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(state, name), []byte(content), 0o600))
		_, err := gce.New(gce.Options{State: state, Project: ours, Zone: zone, Host: newMachines(), Role: theRole})
		require.ErrorContains(t, err, filepath.Base(name))
	}
	_, err := gce.New(gce.Options{State: t.TempDir(), Project: ours, Zone: "nowhere", Host: newMachines(), Role: theRole})
	require.Error(t, err)
}

func TestImportHappensOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file, ok := w.server.Image("ubuntu-os-cloud", "ubuntu-1")
	require.True(t, ok)
	other := w.base()
	require.NoError(t, os.WriteFile(other, []byte("another"), 0o600))
	require.NoError(t, w.server.Import("ubuntu-os-cloud", &computepb.Image{Name: new("ubuntu-1")}, other))
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "base", string(data))
	require.Error(t, w.server.Import("ubuntu-os-cloud", &computepb.Image{Name: new("../x")}, other))
	require.Error(t, w.server.Import("../x", &computepb.Image{Name: new("x")}, other))
	require.Error(t, w.server.Import("debian-cloud", &computepb.Image{Name: new("x")}, other+"-"))
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
		in, err := w.instance("a")
		return err == nil && in.GetStatus() == "STAGING"
	}, hang.Limit(t), tick)
	closed := make(chan error)
	go func() { closed <- w.server.Close() }()
	require.Eventually(t, func() bool { err := w.zone(); return err != nil }, hang.Limit(t), tick)
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
	require.NoError(t, w.server.Import(ours, &computepb.Image{Name: new("far")}, filepath.Join(dir, "far.tar")))
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

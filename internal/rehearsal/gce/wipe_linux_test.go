package gce_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"cloud.google.com/go/compute/apiv1/computepb"
	"github.com/stretchr/testify/require"
)

// What a killed machine left mounted is not removed with the disk.
func TestADiskWithAMountStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.succeeds(w.insertDisk(&computepb.Disk{Name: new("d"), SourceImage: new(base)}))
	dev := filepath.Join(w.state, "disks", "d", "dev")
	require.NoError(t, os.Mkdir(dev, 0o755))
	if err := syscall.Mount("tmpfs", dev, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("mounting needs root: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dev, 0) }) // again, when the test broke off
	precious := filepath.Join(dev, "sda")
	require.NoError(t, os.WriteFile(precious, nil, 0o600))
	op := w.done(w.delete(path("disks", "d")))
	require.Contains(t, op.Error.Errors[0].GetMessage(), "still mounted")
	require.FileExists(t, precious)
	require.NoError(t, syscall.Unmount(dev, 0))
	w.succeeds(w.delete(path("disks", "d")))
	require.Empty(t, w.server.Resources())
}

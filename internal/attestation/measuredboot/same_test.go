package measuredboot_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot"
	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot/disktest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// What differs between two builds is named by partition and offset, each partition once.
func TestTwoBuildsAreComparedByteByByte(t *testing.T) {
	t.Parallel()
	image := disktest.Make(disktest.Spec{})
	file := func(content []byte) *os.File {
		f, err := os.Create(filepath.Join(t.TempDir(), "disk.raw"))
		require.NoError(t, err)
		t.Cleanup(func() { _ = f.Close() })
		_, err = f.Write(content)
		require.NoError(t, err)
		return f
	}
	one := file(image)
	disk, err := measuredboot.OpenFile(one)
	require.NoError(t, err)
	parts := disk.Partitions()
	esp, root, tree, size := parts[0].Start, parts[1].Start, parts[2].Start, int64(len(image))
	for name, tc := range map[string]struct {
		flipped []int64
		want    []string
	}{
		"the same": {nil, nil},
		"root":     {[]int64{root}, []string{"partition root: 1 bytes, the first at offset 0"}},
		"two of the ESP, over a block's border": {[]int64{esp + 1<<20 + 5, esp + 1<<20 - 1},
			[]string{"partition esp: 2 bytes, the first at offset 1048575"}},
		"everywhere": {[]int64{600, esp + 7, root + 4096, tree + 9, size - 1}, []string{
			"the partition table: 1 bytes, the first at offset 600", "partition esp: 1 bytes, the first at offset 7",
			"partition root: 1 bytes, the first at offset 4096", "partition root-verity: 1 bytes, the first at offset 9",
			"behind partition root-verity: 1 bytes"}},
	} {
		other := bytes.Clone(image)
		for _, at := range tc.flipped {
			other[at] ^= 0x80
		}
		err := disk.SameAs(t.Context(), one, file(other))
		if tc.want == nil {
			require.NoError(t, err, name)
			continue
		}
		require.Equal(t, fault.Verification, fault.CodeOf(err), name)
		var f *fault.Error
		require.ErrorAs(t, err, &f, name)
		for _, w := range tc.want {
			require.Contains(t, f.Got, w, name)
		}
	}
	require.ErrorContains(t, disk.SameAs(t.Context(), one, file(image[:size-512])), "disks of two sizes")
	stopped, stop := context.WithCancel(t.Context())
	stop()
	require.ErrorIs(t, disk.SameAs(stopped, one, file(image)), context.Canceled)
}

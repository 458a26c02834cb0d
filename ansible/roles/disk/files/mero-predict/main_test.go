package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot"
	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot/disktest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// written is a disk in a file.
func written(t *testing.T, disk disktest.Image) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk.raw")
	require.NoError(t, disk.WriteFile(path))
	return path
}

// The line is what the package says of the disk, and the build's report takes it.
func TestOneLine(t *testing.T) {
	t.Parallel()
	disk := disktest.Make(disktest.Spec{Root: []byte("hsqs <&>")})
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{written(t, disk)}, &out))
	require.Equal(t, 1, strings.Count(out.String(), "\n"))
	require.True(t, strings.HasSuffix(out.String(), "}\n"))
	read, err := measuredboot.Open(disk.Reader(), int64(len(disk)))
	require.NoError(t, err)
	var got measuredboot.Boot
	require.NoError(t, json.Unmarshal(out.Bytes(), &got))
	require.Equal(t, *read.Boot(), got)
	require.NoError(t, got.Check())
}

func TestNoLine(t *testing.T) {
	t.Parallel()
	whole := disktest.Make(disktest.Spec{})
	root := bytes.Index(whole, []byte("hsqs, a root"))
	require.Positive(t, root)
	changed := bytes.Clone(whole)
	changed[root+5000] ^= 1 // of its second block
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for name, tc := range map[string]struct {
		ctx  context.Context
		args []string
		code fault.Code
		is   error
	}{
		"no disk named":   {t.Context(), nil, fault.Usage, nil},
		"two disks named": {t.Context(), []string{"a", "b"}, fault.Usage, nil},
		"no such disk":    {t.Context(), []string{filepath.Join(t.TempDir(), "absent")}, fault.General, fs.ErrNotExist},
		"a folder":        {t.Context(), []string{t.TempDir()}, fault.Verification, nil},
		"an empty disk":   {t.Context(), []string{written(t, nil)}, fault.Verification, nil},
		"a disk cut off":  {t.Context(), []string{written(t, whole[:len(whole)/2])}, fault.Verification, nil},
		"a changed root":  {t.Context(), []string{written(t, changed)}, fault.Verification, nil},
		"interrupted":     {stopped, []string{written(t, whole)}, fault.General, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			err := run(tc.ctx, tc.args, &out)
			require.Error(t, err)
			require.Equal(t, tc.code, fault.CodeOf(err), "%v", err)
			require.True(t, tc.is == nil || errors.Is(err, tc.is), "%v", err)
			require.Empty(t, out.String())
		})
	}
}

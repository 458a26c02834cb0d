package measuredboot_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot"
	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot/disktest"
)

func open(t testing.TB, d disktest.Image) (*measuredboot.Disk, error) {
	t.Helper()
	return measuredboot.Open(d.Reader(), int64(len(d)))
}

func TestSyntheticDisk(t *testing.T) {
	t.Parallel()
	d, err := open(t, disktest.Make(disktest.Spec{}))
	require.NoError(t, err)
	require.NoError(t, d.VerifyRoot(t.Context()))
	b := d.Boot()
	require.NoError(t, b.Check())
	require.NoError(t, b.Judge(b.Log()))
}

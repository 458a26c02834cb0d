package tsm_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-configfs-tsm/configfs/configfsi"
	"github.com/google/go-configfs-tsm/rtmr"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/attestation/tsm"
	"github.com/calimero-network/mero-tee/internal/base/retry"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

// measurements is a folder as the kernel shows it, without the kernel's extension.
func measurements(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for i, name := range []string{"rtmr0:sha384", "rtmr1:sha384", "rtmr2:sha384", "rtmr3:sha384", "mrtd:sha384"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), bytes.Repeat([]byte{byte(i)}, tdx.RegisterSize), 0o600))
	}
	return dir
}

func TestSysfs(t *testing.T) {
	t.Parallel()
	dir := measurements(t)
	client := tsm.Sysfs(nil, dir)
	for i := range 4 {
		got, err := rtmr.GetDigest(client, i)
		require.NoError(t, err)
		require.Equal(t, bytes.Repeat([]byte{byte(i)}, tdx.RegisterSize), got.Digest)
	}
	digest := bytes.Repeat([]byte{0xaa}, tdx.RegisterSize)
	require.NoError(t, rtmr.ExtendDigest(client, 3, digest))
	written, err := os.ReadFile(filepath.Join(dir, "rtmr3:sha384"))
	require.NoError(t, err)
	require.Equal(t, digest, written, "the kernel gets the digest in one write")
}

func TestSysfsRefuses(t *testing.T) {
	t.Parallel()
	dir := measurements(t)
	client := tsm.Sysfs(nil, dir)
	for _, name := range []string{"rtmr4/digest", "mrtd/digest", "rtmr3/other"} {
		_, err := client.ReadFile(configfsi.TsmPrefix + "/rtmrs/" + name)
		require.ErrorIs(t, err, os.ErrNotExist, name)
	}
	require.ErrorIs(t, client.WriteFile(configfsi.TsmPrefix+"/rtmrs/rtmr3/index", []byte("3")), os.ErrPermission)
	require.NoError(t, os.Remove(filepath.Join(dir, "rtmr3:sha384")))
	require.Error(t, client.WriteFile(configfsi.TsmPrefix+"/rtmrs/rtmr3/digest", make([]byte, tdx.RegisterSize)),
		"a register is never made")
}

// What is not an RTMR goes to configfs, quotes above all.
func TestSysfsLeavesTheRest(t *testing.T) {
	t.Parallel()
	pki, err := tdxsim.NewPKI([]byte("tsm"))
	require.NoError(t, err)
	platform, err := pki.NewPlatform(1)
	require.NoError(t, err)
	a := &agent.Agent{TSM: tsm.Sysfs(tdxsim.TSM(platform.NewTD(tdx.Register{1}), 4), measurements(t))}
	quote, err := a.Quote([64]byte{7})
	require.NoError(t, err)
	require.NotEmpty(t, quote)
}

// The agent refuses a register that somebody extended before, here as over configfs.
func TestTheAgentOverSysfs(t *testing.T) {
	t.Parallel()
	a := &agent.Agent{TSM: tsm.Sysfs(nil, measurements(t)), Profile: "debug"}
	require.ErrorContains(t, a.ExtendProfile(), "extended before")
}

// A machine that is no TD is told so at once, whatever else its processor shows; registers that are there are taken.
func TestAwaitWhereThereIsNoTD(t *testing.T) {
	t.Parallel()
	p := retry.Policy{First: time.Second, Wait: func(context.Context, time.Duration) error {
		t.Error("it waited")
		return nil
	}}
	for _, info := range []string{
		"", "flags\t: fpu avx\n", "flags\t: tdx_guest_2 xtdx_guest\n", "model name\t: tdx_guest\n",
	} {
		_, err := tsm.Awaiting(t.Context(), p, []byte(info), func() (configfsi.Client, error) { return nil, os.ErrNotExist })
		require.ErrorIs(t, err, os.ErrNotExist)
		require.ErrorContains(t, err, "this machine is no TD")
		_, err = tsm.Awaiting(t.Context(), p, []byte(info), func() (configfsi.Client, error) { return nil, nil })
		require.NoError(t, err)
	}
}

// At boot the module that shows the registers may still be loading: it is waited
// for, and not for ever.
func TestAwait(t *testing.T) {
	t.Parallel()
	var waited time.Duration
	p := retry.Policy{First: 50 * time.Millisecond, Most: time.Second, Total: 30 * time.Second,
		Wait: func(ctx context.Context, d time.Duration) error { waited += d; return ctx.Err() }}
	asked, td := 0, []byte("processor\t: 0\nflags\t\t: fpu tdx_guest avx\n")
	_, err := tsm.Awaiting(t.Context(), p, td, func() (configfsi.Client, error) {
		if asked++; asked < 5 {
			return nil, os.ErrNotExist
		}
		return nil, nil
	})
	require.NoError(t, err)
	require.Equal(t, 5, asked)
	require.Less(t, waited, time.Second)
	waited = 0
	_, err = tsm.Awaiting(t.Context(), p, td, func() (configfsi.Client, error) { return nil, os.ErrNotExist })
	require.ErrorIs(t, err, os.ErrNotExist)
	require.Greater(t, waited, 25*time.Second)
	require.LessOrEqual(t, waited, 30*time.Second)
	_, err = tsm.Await(t.Context(), filepath.Join(t.TempDir(), "socket"))
	require.NoError(t, err, "what is served at a socket answers for itself")
}

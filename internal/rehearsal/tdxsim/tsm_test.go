package tdxsim_test

import (
	"crypto/sha512"
	"os"
	"syscall"
	"testing"

	"github.com/google/go-configfs-tsm/report"
	"github.com/google/go-configfs-tsm/rtmr"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

func TestTSMQuotes(t *testing.T) {
	t.Parallel()
	_, platform := newPlatform(t, "tsm", 0)
	td := platform.NewTD(tdx.Register{1})
	client := tdxsim.TSM(td, 5)
	errs := make(chan error)
	for i := range 8 { // each caller gets the quote of its own report data
		go func() {
			want := sha512.Sum512([]byte{byte(i)})
			r, err := report.Get(client, &report.Request{InBlob: want[:]})
			if err == nil {
				var q *tdx.Quote
				if q, err = tdx.ParseQuote(r.OutBlob); err == nil && q.ReportData != want {
					err = os.ErrInvalid
				}
			}
			errs <- err
		}()
	}
	for range 8 {
		require.NoError(t, <-errs)
	}
	_, err := report.Get(client, &report.Request{InBlob: make([]byte, 65)})
	require.Error(t, err)
}

func TestTSMExtends(t *testing.T) {
	t.Parallel()
	_, platform := newPlatform(t, "rtmr", 0)
	td := platform.NewTD(tdx.Register{})
	client := tdxsim.TSM(td, 4)
	event := sha512.Sum384(tdx.ProfileEvent("locked-read-only"))
	require.NoError(t, rtmr.ExtendDigest(client, 3, event[:]))
	require.Equal(t, tdx.ProfileRTMR3("locked-read-only"), td.Registers().RTMR3)
	require.NoError(t, rtmr.ExtendDigest(client, 3, event[:]), "the entry is found again")
	got, err := rtmr.GetDigest(client, 3)
	require.NoError(t, err)
	now := td.Registers().RTMR3
	require.Equal(t, now[:], got.Digest)
	require.ErrorContains(t, rtmr.ExtendDigest(client, 0, event[:]), os.ErrPermission.Error(), "the firmware's register")
	require.ErrorContains(t, rtmr.ExtendDigest(client, 4, event[:]), syscall.EINVAL.Error())
	require.Error(t, rtmr.ExtendDigest(client, 3, event[:47]))
}

func TestTSMRefuses(t *testing.T) {
	t.Parallel()
	_, platform := newPlatform(t, "refuse", 0)
	client := tdxsim.TSM(platform.NewTD(tdx.Register{}), 4)
	const root = "/sys/kernel/config/tsm/rtmrs"
	first, err := client.MkdirTemp(root, "a")
	require.NoError(t, err)
	_, err = client.ReadFile(first + "/digest")
	require.ErrorIs(t, err, syscall.EINVAL, "no index yet")
	require.ErrorIs(t, client.WriteFile(first+"/digest", make([]byte, 48)), os.ErrPermission)
	require.NoError(t, client.WriteFile(first+"/index", []byte("2")))
	require.ErrorIs(t, client.WriteFile(first+"/digest", make([]byte, 47)), syscall.EINVAL)
	_, err = client.ReadFile(first + "/nothing")
	require.ErrorIs(t, err, os.ErrNotExist)
	second, err := client.MkdirTemp(root, "b")
	require.NoError(t, err)
	require.ErrorIs(t, client.WriteFile(second+"/index", []byte("2")), syscall.EBUSY)
	require.ErrorIs(t, client.WriteFile(root+"/none/index", []byte("3")), os.ErrNotExist)
	require.Error(t, client.RemoveAll(first))
	_, err = client.MkdirTemp(first, "c")
	require.ErrorContains(t, err, "no subdirectories")
	entries, err := client.ReadDir(root)
	require.NoError(t, err)
	require.Len(t, entries, 2)
	require.True(t, entries[0].IsDir())
}

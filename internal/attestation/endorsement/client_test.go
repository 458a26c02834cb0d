package endorsement_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/endorsement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/storage"
	"github.com/calimero-network/mero-tee/internal/rehearsal/network"
)

// bucket is Google's, with an endorsement of ours.
func bucket(t *testing.T) (*storage.Server, *endorsement.Client) {
	t.Helper()
	s, err := storage.New(storage.Options{Dir: t.TempDir(), Authority: authority(t), Firmware: []tdx.Register{ours}})
	require.NoError(t, err)
	n := network.New()
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	for _, host := range storage.Hosts() {
		require.NoError(t, n.Handle(host, s))
	}
	return s, &endorsement.Client{HTTP: &http.Client{Transport: n.Transport()},
		Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}
}

// That there is no endorsement is an answer of Cloud Storage; everything else leaves it open.
func TestFetch(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		faults storage.Faults
		of     tdx.Register
		want   string // empty: the endorsement
		code   fault.Code
	}{
		"there":                {of: ours},
		"there, after a while": {of: ours, faults: storage.Faults{Busy: 2}},
		"none":                 {of: other, want: endorsement.ErrNone.Error(), code: fault.General},
		"busy":                 {of: other, faults: storage.Faults{Busy: 99}, want: "503", code: fault.General},
		"not public any more":  {of: other, faults: storage.Faults{Denied: true}, want: "403", code: fault.General},
		"no such bucket": {of: other, faults: storage.Faults{NoBucket: true}, want: "NoSuchBucket",
			code: fault.General},
		"a page of somebody else's": {of: other, faults: storage.Faults{Elsewhere: true}, want: "404 page not found",
			code: fault.General},
		"too large": {of: ours, faults: storage.Faults{Change: func(data []byte) []byte {
			return append(data, make([]byte, endorsement.MaxSize)...)
		}}, want: "the endorsement is too large", code: fault.Verification},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, c := bucket(t)
			s.Change(func(f *storage.Faults) { *f = tc.faults })
			data, err := c.Fetch(t.Context(), tc.of)
			if tc.want == "" {
				require.NoError(t, err)
				require.NotEmpty(t, data)
				return
			}
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, tc.code, fault.CodeOf(err))
			if name == "none" {
				require.ErrorIs(t, err, endorsement.ErrNone)
			} else {
				require.NotErrorIs(t, err, endorsement.ErrNone)
				require.NotContains(t, err.Error(), "not endorsed")
			}
		})
	}
}

func TestFetchEndsWithItsContext(t *testing.T) {
	t.Parallel()
	_, c := bucket(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.Fetch(ctx, ours)
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, endorsement.ErrNone)
}

package tdx_test

import (
	"testing"

	"github.com/google/go-tdx-guest/testing/testdata"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

func FuzzParseQuote(f *testing.F) {
	w := newWorld(f)
	for _, seed := range [][]byte{w.quote(f, 4), w.quote(f, 5), realVersion4(), testdata.RawQuoteV5, nil} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		q, err := tdx.ParseQuote(raw)
		require.Equal(t, err != nil, q == nil)
		if err == nil {
			require.Contains(t, []int{4, 5}, q.Version)
			padded, err := tdx.ParseQuote(append(raw, 0))
			if len(raw) < tdx.MaxQuoteSize {
				require.NoError(t, err)
				require.Equal(t, q, padded)
			}
		}
	})
}

func FuzzParseDstackLog(f *testing.F) {
	w := newWorld(f)
	for _, options := range [][]tdxsim.LogOption{nil, {tdxsim.Unstripped}, {tdxsim.Version2},
		{tdxsim.Version2, tdxsim.Unstripped}} {
		_, log := bootLog(f, w, options...)
		raw, err := log.Dstack()
		require.NoError(f, err)
		f.Add(raw)
	}
	f.Add([]byte(`[{"imr":3,"event_type":134217729,"digest":"","event":"","event_payload":""}]`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		events, err := tdx.ParseDstackLog(raw)
		if err != nil {
			require.Nil(t, events)
			return
		}
		requireSound(t, events, 0)
		trusted, err := tdx.RuntimeEvents(events, tdx.Replay(events, 3))
		for _, e := range trusted {
			require.NoError(t, err)
			require.Contains(t, []int{1, 2}, e.Version)
			require.Equal(t, e.Version == 1, runtimeDigest(e.Name, e.Payload) == e.Digest)
		}
	})
}

func FuzzParseCCEL(f *testing.F) {
	_, log := bootLog(f, newWorld(f))
	f.Add(log.CCEL())
	f.Add(log.CCEL()[:100])
	f.Fuzz(func(t *testing.T, raw []byte) {
		events, err := tdx.ParseCCEL(raw)
		if err != nil {
			require.Nil(t, events)
			return
		}
		requireSound(t, events, -1)
	})
}

func requireSound(t *testing.T, events []tdx.Event, lowest int) {
	t.Helper()
	require.LessOrEqual(t, len(events), 4096)
	for _, e := range events {
		require.GreaterOrEqual(t, e.RTMR, lowest)
		require.LessOrEqual(t, e.RTMR, 3)
	}
}

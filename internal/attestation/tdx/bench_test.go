package tdx_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
)

// The budget is 2 ms of a core for a quote, with the collateral in memory.
func BenchmarkVerify(b *testing.B) {
	w := newWorld(b)
	v, raw := w.verifier(b), w.quote(b, 4)
	b.ReportAllocs()
	for b.Loop() {
		_, err := v.Verify(b.Context(), raw, w.reportData)
		require.NoError(b, err)
	}
}

func BenchmarkParseQuote(b *testing.B) {
	raw := newWorld(b).quote(b, 5)
	b.ReportAllocs()
	for b.Loop() {
		_, err := tdx.ParseQuote(raw)
		require.NoError(b, err)
	}
}

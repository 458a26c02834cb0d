package tdx_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"testing"

	"github.com/google/go-tdx-guest/abi"
	"github.com/google/go-tdx-guest/verify"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

// libraryVerify is go-tdx-guest alone, as one would call it without this package.
func libraryVerify(t *testing.T, w *world) error {
	t.Helper()
	quote, err := abi.QuoteToProto(w.quote(t, 4))
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(w.pki.Root())
	return verify.TdxQuoteContext(t.Context(), quote, &verify.Options{
		TrustedRoots: roots, GetCollateral: true, CheckRevocations: true, Getter: libraryGetter{w.collateral()}})
}

type libraryGetter struct{ tdx.CollateralSource }

func (g libraryGetter) Get(url string) (map[string][]string, []byte, error) {
	return g.GetContext(context.Background(), url)
}

// The trap of go-tdx-guest 91f9a52: once the module is a TDX 1.5 one, it does not
// look at the platform. When the library learns to, the first assertion
// fails, and judge may be compared with it.
func TestPlatformStatusCanary(t *testing.T) {
	t.Parallel()
	for _, status := range []tdx.Status{tdx.OutOfDate, tdx.Revoked} {
		w := newWorld(t)
		w.pcs.Change(func(k *tdxsim.Faults) { k.Platform = status })
		require.NoError(t, libraryVerify(t, w), "the library accepts a platform that is %s", status)
		got, err := w.verifier(t).Verify(t.Context(), w.quote(t, 4), w.reportData)
		if status == tdx.Revoked {
			require.ErrorContains(t, err, "tcb_status is Revoked")
			continue
		}
		require.NoError(t, err)
		require.Equal(t, tdx.OutOfDate, got.Platform)
		require.Equal(t, tdx.OutOfDate, got.TCB)
	}
}

// objectsToStatus depends on the library's words: here they are.
func TestLibraryStatusWordsCanary(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pcs.Change(func(k *tdxsim.Faults) { k.Module = tdx.OutOfDate })
	require.EqualError(t, libraryVerify(t, w), "TDX TCB info reported by Intel PCS failed TCB status check: "+
		verify.ErrTdxTcbStatus.Error())
	w = newWorld(t)
	w.pcs.Change(func(k *tdxsim.Faults) { k.QE = tdx.OutOfDate })
	require.EqualError(t, libraryVerify(t, w), "QE Identity reported by Intel PCS failed TCB status check: "+
		verify.ErrEnclaveTcbStatus.Error())
}

// Platform, module and enclave, each in every status: reported as it is, and
// refused when any is revoked.
func TestEveryStatusOfEveryPart(t *testing.T) {
	t.Parallel()
	for _, module10 := range []bool{false, true} {
		var options []tdxsim.Option
		if module10 {
			options = append(options, tdxsim.Module10)
		}
		w := newWorld(t, options...)
		for _, status := range tdx.Statuses() {
			for part, turn := range map[string]func(*tdxsim.Faults){
				"platform": func(k *tdxsim.Faults) { k.Platform, k.Module, k.QE = status, tdx.UpToDate, tdx.UpToDate },
				"module":   func(k *tdxsim.Faults) { k.Platform, k.Module, k.QE = tdx.UpToDate, status, tdx.UpToDate },
				"enclave":  func(k *tdxsim.Faults) { k.Platform, k.Module, k.QE = tdx.UpToDate, tdx.UpToDate, status },
			} {
				if module10 && part == "module" {
					continue
				}
				w.pcs.Change(turn)
				got, err := w.verifier(t).Verify(t.Context(), w.quote(t, 5), w.reportData)
				if status == tdx.Revoked {
					var violation *tdx.Violation
					require.ErrorAs(t, err, &violation, part)
					continue
				}
				require.NoError(t, err, "%s %s", part, status)
				require.Equal(t, status, got.TCB)
				require.Equal(t, status, map[string]tdx.Status{"platform": got.Platform, "module": got.Module,
					"enclave": got.QE}[part])
				require.Equal(t, status != tdx.UpToDate, len(got.Advisories) == 1)
			}
		}
	}
}

func TestParseStatus(t *testing.T) {
	t.Parallel()
	for _, s := range tdx.Statuses() {
		got, err := tdx.ParseStatus(string(s))
		require.NoError(t, err)
		require.Equal(t, s, got)
	}
	for _, bad := range []string{"", "uptodate", "UpToDate ", "OK"} {
		_, err := tdx.ParseStatus(bad)
		require.ErrorContains(t, err, "is not a TCB status")
	}
	var s tdx.Status
	require.Error(t, json.Unmarshal([]byte(`"outofdate"`), &s))
	require.NoError(t, json.Unmarshal([]byte(`"OutOfDate"`), &s))
	require.Equal(t, tdx.OutOfDate, s)
}

// The convergence of Intel's quote verification library, and its extension to
// statuses that modules and enclaves do not have today.
func TestMerge(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ a, b, want tdx.Status }{
		{tdx.UpToDate, "", tdx.UpToDate},
		{tdx.UpToDate, tdx.UpToDate, tdx.UpToDate},
		{tdx.UpToDate, tdx.OutOfDate, tdx.OutOfDate},
		{tdx.SWHardeningNeeded, tdx.OutOfDate, tdx.OutOfDate},
		{tdx.ConfigurationNeeded, tdx.OutOfDate, tdx.OutOfDateConfigurationNeeded},
		{tdx.ConfigurationAndSWHardeningNeeded, tdx.OutOfDate, tdx.OutOfDateConfigurationNeeded},
		{tdx.OutOfDateConfigurationNeeded, tdx.OutOfDate, tdx.OutOfDateConfigurationNeeded},
		{tdx.SWHardeningNeeded, tdx.ConfigurationNeeded, tdx.ConfigurationAndSWHardeningNeeded},
		{tdx.OutOfDateConfigurationNeeded, tdx.Revoked, tdx.Revoked},
		{tdx.UpToDate, "Unheard", "Unheard"},
	} {
		require.Equal(t, tc.want, tc.a.Merge(tc.b), "%s and %s", tc.a, tc.b)
		require.Equal(t, tc.want, tc.b.Merge(tc.a), "%s and %s", tc.b, tc.a)
	}
	all := tdx.Statuses()
	for i := 1; i < len(all); i++ {
		require.Negative(t, all[i-1].Compare(all[i]))
		require.GreaterOrEqual(t, all[i].Merge(all[i-1]).Compare(all[i]), 0, "merging never improves")
	}
	require.Positive(t, tdx.Status("Unheard").Compare(tdx.Revoked))
}

package tdx_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

// warm is a verifier that has accepted a quote of the world's platform already.
func (w *world) warm(t testing.TB, now func() time.Time) (*tdx.Verifier, *tdx.Collateral) {
	t.Helper()
	c := w.collateral()
	v, err := tdx.NewVerifier(tdx.Config{Root: w.pki.RootSHA256(), Collateral: c, Now: now})
	require.NoError(t, err)
	for _, version := range []int{4, 5} {
		_, err = v.Verify(t.Context(), w.quote(t, version), w.reportData)
		require.NoError(t, err)
	}
	require.Equal(t, 2, v.Remembered())
	return v, c
}

func TestARememberedPlatformHasTheSameVerdicts(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]tdxsim.Option{"TDX 1.5": nil, "TDX 1.0": {tdxsim.Module10}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options...)
			v, _ := w.warm(t, time.Now)
			w.td = w.boot(t) // another TD of the same platform
			require.NoError(t, w.td.Extend(3, [48]byte{7}))
			w.reportData[0] ^= 1
			for _, version := range []int{4, 5} {
				raw := w.quote(t, version)
				got, err := v.Verify(t.Context(), raw, w.reportData)
				require.NoError(t, err)
				want, err := w.verifier(t).Verify(t.Context(), raw, w.reportData)
				require.NoError(t, err)
				require.Equal(t, want, got)
				require.True(t, v.Recalls(t.Context(), raw))
			}
			require.Equal(t, 2, v.Remembered())
			_, err := v.Verify(t.Context(), w.quote(t, 4), [64]byte{})
			require.ErrorIs(t, err, tdx.ErrReportData)
			w.td = w.boot(t, tdxsim.Debug)
			var violation *tdx.Violation
			_, err = v.Verify(t.Context(), w.quote(t, 4), w.reportData)
			require.ErrorAs(t, err, &violation)
		})
	}
}

func TestARememberedPlatformCanBeForgedInNoByte(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v, _ := w.warm(t, time.Now)
	for version, end := range map[int]int{4: 48 + 584 + 4 + 128, 5: 48 + 6 + 648 + 4 + 128} { // header, body, signature and attestation key
		raw := w.quote(t, version)
		for i := 0; i < end; i += 3 { // the verifier that remembers nothing is shown every byte
			raw[i] ^= 1
			_, err := v.Verify(t.Context(), raw, w.reportData)
			requireNotGenuine(t, err, "")
			raw[i] ^= 1
		}
		for n := 0; n < len(raw); n += 41 {
			_, err := v.Verify(t.Context(), raw[:n], w.reportData)
			requireNotGenuine(t, err, "")
		}
	}
}

// A thief of the certificates signs with a key of his own and puts it into the quote.
func TestARememberedPlatformsKeyIsItsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v, _ := w.warm(t, time.Now)
	raw := w.quote(t, 4)
	const signed = 48 + 584
	thief, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	public, err := thief.PublicKey.Bytes()
	require.NoError(t, err)
	raw[signed-1] ^= 1
	digest := sha256.Sum256(raw[:signed])
	r, s, err := ecdsa.Sign(rand.Reader, thief, digest[:])
	require.NoError(t, err)
	r.FillBytes(raw[signed+4 : signed+36])
	s.FillBytes(raw[signed+36 : signed+68])
	_, err = v.Verify(t.Context(), raw, w.reportData)
	requireNotGenuine(t, err, "unable to verify message digest")
	copy(raw[signed+68:], public[1:])
	_, err = v.Verify(t.Context(), raw, w.reportData)
	requireNotGenuine(t, err, "QE report data")
}

func TestARememberedPlatformIsJudgedByNewCollateral(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		turn func(*tdxsim.Knobs)
		want string
	}{
		"PCK revoked":         {func(k *tdxsim.Knobs) { k.RevokePCK = true }, "PCK Leaf certificate in PCK certificate chain was revoked"},
		"platform CA revoked": {func(k *tdxsim.Knobs) { k.RevokePlatformCA = true }, "intermediate certificate in PCK certificate chain was revoked"},
		"TCB signer revoked":  {func(k *tdxsim.Knobs) { k.RevokeTCBSigning = true }, "signing certificate was revoked"},
		"TCB revoked":         {func(k *tdxsim.Knobs) { k.Platform = tdx.Revoked }, "tcb_status is Revoked"},
		"service is down":     {func(k *tdxsim.Knobs) { k.Unavailable = true }, "collateral is unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			v, c := w.warm(t, time.Now)
			w.pcs.Turn(tc.turn)
			_, err := v.Verify(t.Context(), w.quote(t, 4), w.reportData)
			require.NoError(t, err, "the answers in memory are those of before")
			c.SetClock(func() time.Time { return time.Now().Add(time.Hour) })
			_, err = v.Verify(t.Context(), w.quote(t, 4), w.reportData)
			require.ErrorContains(t, err, tc.want)
		})
	}
}

// frozen keeps every answer for ever, as a source that does not look at dates would.
type frozen struct {
	source  tdx.CollateralSource
	answers map[string]said
}

type said struct {
	header map[string][]string
	body   []byte
}

func (f frozen) GetContext(ctx context.Context, url string) (map[string][]string, []byte, error) {
	if a, ok := f.answers[url]; ok {
		return a.header, bytes.Clone(a.body), nil
	}
	header, body, err := f.source.GetContext(ctx, url)
	f.answers[url] = said{header, body}
	return header, body, err
}

func TestARememberedPlatformExpiresWithItsCollateral(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pcs.Turn(func(k *tdxsim.Knobs) { k.Validity = 40 * time.Second })
	var ahead atomic.Int64
	v, err := tdx.NewVerifier(tdx.Config{Root: w.pki.RootSHA256(), Collateral: frozen{w.collateral(), map[string]said{}},
		Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	require.NoError(t, err)
	raw := w.quote(t, 4)
	for range 2 {
		_, err = v.Verify(t.Context(), raw, w.reportData)
		require.NoError(t, err)
	}
	ahead.Store(int64(41 * time.Second)) // less than a verdict is remembered
	_, err = v.Verify(t.Context(), raw, w.reportData)
	requireNotGenuine(t, err, "has expired")
	ahead.Store(int64(-2 * time.Hour))
	_, err = v.Verify(t.Context(), raw, w.reportData)
	requireNotGenuine(t, err, "in the future")
}

func TestRememberedPlatformsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v, _ := w.warm(t, time.Now)
	v.FillMemory()
	_, err := v.Verify(t.Context(), w.quote(t, 4), w.reportData)
	require.NoError(t, err)
	require.Equal(t, 1, v.Remembered())
}

func TestAMirrorIsAskedByThePathsOfAPCCS(t *testing.T) {
	t.Parallel()
	for _, rootCRL := range []string{"der", "hex"} {
		w := newWorld(t)
		asked := make(chan string, 16)
		pccs := http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
			asked <- r.Host + r.URL.Path
			if r.URL.Path == "/pccs/sgx/certification/v4/rootcacrl" {
				w.serveRootCRL(t, out, rootCRL == "hex")
				return
			}
			http.StripPrefix("/pccs", w.pcs).ServeHTTP(out, r)
		})
		v, err := tdx.NewVerifier(tdx.Config{Root: w.pki.RootSHA256(),
			Collateral: tdx.NewMirrored("https://pccs.example.com:8081/pccs/", &http.Client{Transport: served{pccs}})})
		require.NoError(t, err)
		_, err = v.Verify(t.Context(), w.quote(t, 4), w.reportData)
		require.NoError(t, err)
		close(asked)
		for address := range asked {
			require.Contains(t, address, "pccs.example.com:8081/pccs/")
		}
	}
}

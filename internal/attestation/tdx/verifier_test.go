package tdx_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

func TestVerifyAccepts(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]tdxsim.Option{"TDX 1.5": nil, "TDX 1.0": {tdxsim.Module10}} {
		for _, version := range []int{4, 5} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, options...)
				got, err := w.verifier(t).Verify(t.Context(), w.quote(t, version), w.reportData)
				require.NoError(t, err)
				require.Equal(t, version, got.Version)
				require.Equal(t, w.td.Registers(), got.Registers)
				require.Equal(t, w.platform.FMSPC(), got.FMSPC)
				require.Equal(t, w.pki.RootSHA256(), got.Root)
				require.Equal(t, tdx.UpToDate, got.Platform)
				require.Equal(t, tdx.UpToDate, got.QE)
				require.Equal(t, tdx.UpToDate, got.TCB)
				require.Equal(t, name == "TDX 1.5", got.Module == tdx.UpToDate)
				require.Equal(t, 17, got.EvaluationNumber)
				require.Empty(t, got.Advisories)
				require.False(t, got.Debug())
			})
		}
	}
}

func TestVerifyAcceptsZeroPaddingOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := w.verifier(t)
	padded := append(w.quote(t, 4), make([]byte, 3000)...)
	_, err := v.Verify(t.Context(), padded, w.reportData)
	require.NoError(t, err)
	padded[len(padded)-1] = 1
	_, err = v.Verify(t.Context(), padded, w.reportData)
	requireNotGenuine(t, err, "zero padding")
	_, err = v.Verify(t.Context(), make([]byte, tdx.MaxQuoteSize+1), w.reportData)
	requireNotGenuine(t, err, "larger than")
}

func TestVerifyPinsTheRoot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other, err := tdxsim.NewPKI([]byte("another seed"))
	require.NoError(t, err)
	for _, root := range [][32]byte{intelRoot(t), other.RootSHA256()} {
		v, err := tdx.NewVerifier(tdx.Config{Root: root, Collateral: w.collateral()})
		require.NoError(t, err)
		_, err = v.Verify(t.Context(), w.quote(t, 4), w.reportData)
		requireNotGenuine(t, err, "not the pinned")
	}
}

func TestVerifyRefusesAnotherRootsCollateral(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other, err := tdxsim.NewPKI([]byte("another seed"))
	require.NoError(t, err)
	forger, err := other.NewPlatform(0)
	require.NoError(t, err)
	w.pcs = tdxsim.NewPCS(other, time.Now, forger)
	_, err = w.verifier(t).Verify(t.Context(), w.quote(t, 4), w.reportData)
	requireNotGenuine(t, err, "CRL signature verification failed")
}

func TestVerifyBindsReportData(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := w.verifier(t)
	for _, i := range []int{0, 31, 32, 63} {
		wanted := w.reportData
		wanted[i] ^= 1
		got, err := v.Verify(t.Context(), w.quote(t, 4), wanted)
		require.ErrorIs(t, err, tdx.ErrReportData)
		require.Nil(t, got)
	}
}

func TestVerifyRefusesViolations(t *testing.T) {
	t.Parallel()
	debug := func(t *testing.T, w *world, _ *tdx.Config) { w.td = w.boot(t, tdxsim.Debug) }
	migratable := func(t *testing.T, w *world, _ *tdx.Config) { w.td = w.boot(t, tdxsim.Migratable) }
	for name, tc := range map[string]struct {
		arrange func(*testing.T, *world, *tdx.Config)
		want    tdx.Violation
	}{
		"migratable": {migratable, tdx.Violation{Field: "td_attributes.migratable", Want: "clear", Got: "set"}},
		"debug":      {debug, tdx.Violation{Field: "td_attributes.debug", Want: "clear", Got: "set"}},
		"evaluation number": {func(_ *testing.T, _ *world, c *tdx.Config) { c.MinEvaluationNumber = 18 },
			tdx.Violation{Field: "tcb_evaluation_data_number", Want: "at least 18", Got: "17"}},
		"revoked": {func(_ *testing.T, w *world, _ *tdx.Config) {
			w.pcs.Change(func(k *tdxsim.Faults) { k.Platform = tdx.Revoked })
		}, tdx.Violation{Field: "tcb_status", Want: "anything but Revoked", Got: "Revoked"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c := tdx.Config{Root: w.pki.RootSHA256(), Collateral: w.collateral()}
			tc.arrange(t, w, &c)
			v, err := tdx.NewVerifier(c)
			require.NoError(t, err)
			got, err := v.Verify(t.Context(), w.quote(t, 4), w.reportData)
			var violation *tdx.Violation
			require.ErrorAs(t, err, &violation)
			require.Equal(t, tc.want, *violation)
			require.Nil(t, got)
			require.EqualError(t, err, tc.want.Field+" is "+tc.want.Got+", not "+tc.want.Want)
		})
	}
}

func TestNewVerifierRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := tdx.NewVerifier(tdx.Config{Collateral: w.collateral()})
	require.Equal(t, fault.Usage, fault.CodeOf(err))
	require.ErrorContains(t, err, "no trusted TDX root")
	_, err = tdx.NewVerifier(tdx.Config{Root: w.pki.RootSHA256()})
	require.Equal(t, fault.Usage, fault.CodeOf(err))
	require.ErrorContains(t, err, "no source of TDX collateral")
}

// Every byte of header and body is signed, so none may change unseen.
func TestVerifyRefusesEveryFlippedByte(t *testing.T) {
	t.Parallel()
	for version, signed := range map[int]int{4: 48 + 584, 5: 48 + 6 + 648} {
		t.Run(strconv.Itoa(version), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			v, raw := w.verifier(t), w.quote(t, version)
			for i := range signed {
				raw[i] ^= 1
				_, err := v.Verify(t.Context(), raw, w.reportData)
				requireNotGenuine(t, err, "")
				raw[i] ^= 1
			}
		})
	}
}

// What follows is keys, signatures and certificates. Where a flip goes
// unnoticed (it is framing), the verdict is the same.
func TestVerifyIsNotMisledByAFlippedByte(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v, raw := w.verifier(t), w.quote(t, 4)
	want, err := v.Verify(t.Context(), raw, w.reportData)
	require.NoError(t, err)
	refused := 0
	for i := 48 + 584; i < len(raw); i += 7 {
		raw[i] ^= 1
		got, err := v.Verify(t.Context(), raw, w.reportData)
		raw[i] ^= 1
		if err == nil {
			require.Equal(t, want, got)
			continue
		}
		refused++
	}
	require.Greater(t, refused, 500)
}

func TestVerifyRefusesEveryTruncation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := w.verifier(t)
	for _, version := range []int{4, 5} {
		raw := w.quote(t, version)
		for n := range raw {
			_, err := v.Verify(t.Context(), raw[:n], w.reportData)
			requireNotGenuine(t, err, "quote is not genuine")
		}
	}
}

// A thief of the certificates signs with a key of his own and puts it into the quote.
func TestVerifyRefusesAnotherAttestationKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v, raw := w.verifier(t), w.quote(t, 4)
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

package tdx_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

// kept verifies a quote of the world and returns the collateral that this took.
func (w *world) kept(t testing.TB) tdx.Stored {
	t.Helper()
	keeper := &tdx.Keeper{Source: w.collateral()}
	_, err := w.verifier(t).AsOf(time.Now(), keeper).Verify(t.Context(), w.quote(t, 4), w.reportData)
	require.NoError(t, err)
	return keeper.Stored()
}

// What was kept is enough for ever: the service is down, and other things are said today.
func TestAQuoteVerifiesAsOfItsTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := time.Now()
	kept := w.kept(t)
	require.Len(t, kept, 4)
	require.NoError(t, kept.Check(w.pki.RootSHA256(), at))
	w.pcs.Change(func(f *tdxsim.Faults) { f.Unavailable = true })
	got, err := w.verifier(t).AsOf(at, kept).Verify(t.Context(), w.quote(t, 5), w.reportData)
	require.NoError(t, err)
	require.Equal(t, tdx.UpToDate, got.TCB)
	require.Equal(t, at, got.At)
	require.WithinDuration(t, at.Add(-time.Hour), got.Issued, time.Minute)
	require.Equal(t, kept.Digest(), slices.Clone(kept).Digest())
	for i := range kept {
		other := slices.Clone(kept)
		other[i].Body = append(bytes.Clone(other[i].Body), ' ')
		require.NotEqual(t, kept.Digest(), other.Digest())
	}
}

// All quotes that are verified through a keeper rest on what it was told first.
func TestAKeeperKeepsTheFirstAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	keeper := &tdx.Keeper{Source: w.collateral()}
	v := w.verifier(t).AsOf(time.Now(), keeper)
	_, err := v.Verify(t.Context(), w.quote(t, 4), w.reportData)
	require.NoError(t, err)
	before := keeper.Stored()
	keeper.Source = nil // it is not asked again
	_, err = v.Verify(t.Context(), w.quote(t, 5), w.reportData)
	require.NoError(t, err)
	require.Equal(t, before, keeper.Stored())
}

func TestStoredCollateralIsRefusedInItsOwnWords(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	another, err := tdxsim.NewPKI([]byte("another root's seed, of 32 bytes."))
	require.NoError(t, err)
	now := time.Now()
	kept := w.kept(t)
	of := func(part string) int {
		return slices.IndexFunc(kept, func(a tdx.Answer) bool { return strings.Contains(a.URL, part) })
	}
	for name, tc := range map[string]struct {
		change func(tdx.Stored) tdx.Stored
		root   [32]byte
		at     time.Time
		want   string
	}{
		"expired then":       {nil, w.pki.RootSHA256(), now.AddDate(0, 0, 31), "had expired by then, on "},
		"of the future":      {nil, w.pki.RootSHA256(), now.AddDate(0, 0, -1), "was issued in the future, on "},
		"under another root": {nil, another.RootSHA256(), now, "another root"},
		"a TCB info that is none": {func(s tdx.Stored) tdx.Stored {
			s[of("/tcb?")].Body = []byte("{}")
			return s
		}, w.pki.RootSHA256(), now, "tcbInfo: missing"},
		"a list that is none": {func(s tdx.Stored) tdx.Stored {
			s[of("/pckcrl?")].Body = []byte("{}")
			return s
		}, w.pki.RootSHA256(), now, "cannot be read"},
		"no chain": {func(s tdx.Stored) tdx.Stored {
			s[of("/qe/identity")].Chain = ""
			return s
		}, w.pki.RootSHA256(), now, "not a signer and its root"},
		"a chain too many": {func(s tdx.Stored) tdx.Stored {
			s[of(".der")].Chain = s[of("/tcb?")].Chain
			return s
		}, w.pki.RootSHA256(), now, "a chain was kept where"},
		"twice": {func(s tdx.Stored) tdx.Stored { return append(s, s[len(s)-1]) }, w.pki.RootSHA256(), now,
			"not kept once and in order"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changed := slices.Clone(kept)
			if tc.change != nil {
				changed = tc.change(changed)
			}
			err := changed.Check(tc.root, tc.at)
			require.ErrorIs(t, err, tdx.ErrCollateral)
			require.ErrorContains(t, err, tc.want)
		})
	}
}

// What says nothing of a quote's platform judges nothing, also where it is signed as it should be.
func TestCollateralOfAnotherPlatformIsNotTheQuotesFault(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other, err := w.pki.NewPlatform(1)
	require.NoError(t, err)
	kept := w.kept(t)
	service := tdxsim.NewPCS(w.pki, time.Now, other)
	of := &world{pki: w.pki, platform: other, pcs: service, reportData: w.reportData}
	of.td = of.boot(t)
	theirs := of.kept(t)
	_, err = w.verifier(t).AsOf(time.Now(), theirs).Verify(t.Context(), w.quote(t, 4), w.reportData)
	require.True(t, isUnavailable(err))
	require.ErrorContains(t, err, "nothing was kept of ")

	i := slices.IndexFunc(kept, func(a tdx.Answer) bool { return strings.Contains(a.URL, "/tcb?") })
	k := slices.IndexFunc(theirs, func(a tdx.Answer) bool { return strings.Contains(a.URL, "/tcb?") })
	lent := slices.Clone(kept)
	lent[i].Body = theirs[k].Body
	require.NoError(t, lent.Check(w.pki.RootSHA256(), time.Now()))
	_, err = w.verifier(t).AsOf(time.Now(), lent).Verify(t.Context(), w.quote(t, 4), w.reportData)
	require.True(t, isUnavailable(err))
	require.ErrorContains(t, err, "FMSPC from PCK Certificate")
}

// A revocation is told apart from a forgery: blame depends on the library's words.
func TestARevokedCertificateIsSaidToBeOne(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*tdxsim.Faults){
		"PCK":         func(f *tdxsim.Faults) { f.RevokePCK = true },
		"platform CA": func(f *tdxsim.Faults) { f.RevokePlatformCA = true },
	} {
		w := newWorld(t)
		w.pcs.Change(change)
		_, err := w.verifier(t).Verify(t.Context(), w.quote(t, 4), w.reportData)
		var revoked *tdx.Revocation
		require.ErrorAs(t, err, &revoked, name)
		requireNotGenuine(t, err, "was revoked at ")
		forged := w.quote(t, 4)
		forged[200] ^= 1
		_, err = w.verifier(t).Verify(t.Context(), forged, w.reportData)
		requireNotGenuine(t, err, "")
		require.NotErrorAs(t, err, &revoked, name)
	}
}

// So is one that ended: certificates of platforms do, years after a release.
func TestACertificateThatEndedIsSaidToHave(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.verifier(t).AsOf(time.Now().AddDate(100, 0, 0), w.kept(t)).Verify(t.Context(), w.quote(t, 4), w.reportData)
	requireNotGenuine(t, err, "has ended on ")
	require.ErrorAs(t, err, new(*tdx.Ended))
}

func FuzzStored(f *testing.F) {
	w := newWorld(f)
	now := time.Now()
	for _, a := range w.kept(f) {
		f.Add(a.URL, a.Chain, a.Body)
	}
	f.Fuzz(func(t *testing.T, address, chain string, body []byte) {
		s := tdx.Stored{{URL: address, Chain: chain, Body: body}}
		if s.Check(w.pki.RootSHA256(), now) == nil {
			require.Error(t, s.Check([32]byte{}, now.AddDate(100, 0, 0)), "nothing holds for a century")
		}
	})
}

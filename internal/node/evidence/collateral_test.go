package evidence_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/evidence"
	"github.com/calimero-network/mero-tee/internal/rehearsal/network"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

// keptBy is the collateral of another service, for quotes of its platform.
func keptBy(t *testing.T, pki *tdxsim.PKI, platform *tdxsim.Platform, change func(*tdxsim.Faults)) evidence.Collateral {
	t.Helper()
	pcs := tdxsim.NewPCS(pki, time.Now, platform)
	pcs.Change(change)
	n := network.New()
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	for _, host := range tdxsim.Hosts() {
		require.NoError(t, n.Handle(host, pcs))
	}
	keeper := &tdx.Keeper{Source: tdx.NewCollateral(&http.Client{Transport: n.Transport()})}
	v, err := tdx.NewVerifier(tdx.Config{Root: pki.RootSHA256(), Collateral: keeper})
	require.NoError(t, err)
	quote, err := platform.NewTD(tdx.Register{1}).Quote(4, [64]byte{})
	require.NoError(t, err)
	_, _ = v.Verify(t.Context(), quote, [64]byte{}) // it may say no: what it asked for is kept
	out, err := evidence.Keep(keeper.Stored())
	require.NoError(t, err)
	require.Len(t, out, 4)
	return out
}

// Collateral that does not judge its quotes is refused, each kind in its own words.
func TestCollateralThatDoesNotJudgeItsQuotes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, second, again := w.three(t)
	other, err := w.pki.NewPlatform(1)
	require.NoError(t, err)
	stranger, err := tdxsim.NewPKI([]byte(strings.Repeat("x", 32)))
	require.NoError(t, err)
	theirs, err := stranger.NewPlatform(0)
	require.NoError(t, err)
	good := func(*tdxsim.Faults) {}
	collateral := func(c evidence.Collateral) func(*evidence.Evidence) {
		return func(e *evidence.Evidence) { e.Collateral = c }
	}
	for name, tc := range map[string]struct {
		forge func(*evidence.Evidence)
		want  string
	}{
		"none":                {collateral(evidence.Collateral{}), "the evidence carries no collateral"},
		"of another platform": {collateral(keptBy(t, w.pki, other, good)), "nothing was kept of https://"},
		"expired then": {collateral(keptBy(t, w.pki, w.platform, func(f *tdxsim.Faults) {
			f.Age, f.Validity = 30*24*time.Hour, -time.Hour
		})), "had expired by then"},
		"of the future": {collateral(keptBy(t, w.pki, w.platform, func(f *tdxsim.Faults) { f.Age = -time.Hour })),
			"issued in the future"},
		"of another root": {collateral(keptBy(t, stranger, theirs, good)), "vouched for by another root"},
		"in which the PCK was revoked": {collateral(keptBy(t, w.pki, w.platform,
			func(f *tdxsim.Faults) { f.RevokePCK = true })), "was revoked at "},
		"in which no level was reached": {collateral(keptBy(t, w.pki, w.platform,
			func(f *tdxsim.Faults) { f.NoLevel = "platform" })), "cannot be judged"},
		"a signature changed": {collateral(keptBy(t, w.pki, w.platform, func(f *tdxsim.Faults) {
			f.Tamper = func(path string, body []byte) []byte {
				return []byte(strings.Replace(string(body), `"UpToDate"`, `"OutOfDate"`, 1))
			}
		})), "could not verify response body"},
		"more than is needed": {func(e *evidence.Evidence) {
			e.Collateral = append(slices.Clone(e.Collateral), evidence.Answer{URL: "https://z.test/list.der",
				Body: e.Collateral[3].Body})
		}, "of none of its quotes"},
		"not packed":   {func(e *evidence.Evidence) { e.Collateral[0].Body = []byte("{}") }, "cannot be unpacked"},
		"out of order": {func(e *evidence.Evidence) { slices.Reverse(e.Collateral) }, "not kept once and in order"},
		"a boot of another time": {func(e *evidence.Evidence) {
			e.Boots[1].Time = e.Boots[1].Time.AddDate(1, 0, 0)
		}, "boot 2: the evidence's collateral does not judge its quote"},
		"a boot without a time": {func(e *evidence.Evidence) { e.Boots[0].Time = time.Time{} }, "issued in the future"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := w.evidence(t, first, second, again)
			tc.forge(e)
			data, err := e.Encode()
			require.NoError(t, err)
			err = verify(t.Context(), data, w.root)
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, fault.Verification, fault.CodeOf(err), "%v", err)
		})
	}
	require.Equal(t, fault.Verification, fault.CodeOf(verify(t.Context(), encoded(t, w.evidence(t, first, second, again)),
		stranger.RootSHA256())), "of the right root, before another")
}

func encoded(t *testing.T, e *evidence.Evidence) []byte {
	t.Helper()
	data, err := e.Encode()
	require.NoError(t, err)
	return data
}

// What Intel says later is another question, and no quote that was proven is called forged.
func TestToday(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, second, again := w.three(t)
	data := encoded(t, w.evidence(t, first, second, again))
	w.pcs.Change(func(f *tdxsim.Faults) { f.NoLevel, f.EvaluationNumber = "platform", 20 })
	e, err := evidence.DecodeEvidence(data)
	require.NoError(t, err)
	seen, err := e.Observe(t.Context(), w.root)
	require.NoError(t, err, "as of then it is what it was")
	today, err := tdx.NewVerifier(tdx.Config{Root: w.root, Collateral: tdx.NewCollateral(w.client)})
	require.NoError(t, err)
	_, err = seen[0].Today(t.Context(), today)
	require.ErrorAs(t, err, new(*tdx.Unrated))
	w.pcs.Change(func(f *tdxsim.Faults) { f.NoLevel, f.Platform = "", tdx.OutOfDate })
	today, err = tdx.NewVerifier(tdx.Config{Root: w.root, Collateral: tdx.NewCollateral(w.client)})
	require.NoError(t, err)
	got, err := seen[2].Today(t.Context(), today)
	require.NoError(t, err)
	require.Equal(t, tdx.OutOfDate, got.TCB)
}

// The file stays small: one collateral for all its boots, packed.
func TestEvidenceIsSmall(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, second, again := w.three(t)
	e := w.evidence(t, first, second, again)
	require.Len(t, e.Collateral, 4, "TCB info, QE identity, two lists")
	before := len(encoded(t, e))
	e.Collateral = nil
	require.Less(t, before-len(encoded(t, e)), 16<<10)
}

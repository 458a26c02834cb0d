package guard_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/guard"
	"github.com/calimero-network/mero-tee/policies"
)

// world is what has been published.
type world struct {
	nodes map[release.Tag]policies.Evidence
	kms   map[release.Tag]map[release.Profile]*policies.Policy
	down  error
}

func (w world) Tags(_ context.Context, f release.Family) ([]release.Tag, error) {
	var out []release.Tag
	for t := range w.nodes {
		if f == release.Node {
			out = append(out, t)
		}
	}
	for t := range w.kms {
		if f == release.KMS {
			out = append(out, t)
		}
	}
	return out, w.down
}

func (w world) Named(_ context.Context, nodes []release.Tag) (policies.Published, error) {
	out := policies.Published{}
	for _, t := range nodes {
		if ev, ok := w.nodes[t]; ok {
			out[t] = ev
		}
	}
	return out, nil
}

func (w world) Policies(_ context.Context, t release.Tag) (map[release.Profile]*policies.Policy, error) {
	return w.kms[t], nil
}

func tag(t *testing.T, s string) release.Tag {
	t.Helper()
	out, err := release.ParseTag(s)
	require.NoError(t, err)
	return out
}

func evidence(t *testing.T, node string, seed byte) policies.Evidence {
	t.Helper()
	ev := policies.Evidence{Tag: tag(t, node), Digest: "sha256:" + strings.Repeat("0123456789abcdef"[seed:seed+1], 64),
		Registers: map[release.Profile]tdx.Registers{}}
	for i, p := range release.Profiles() {
		ev.Registers[p] = tdx.Registers{MRTD: tdx.Register{1}, RTMR0: tdx.Register{2}, RTMR1: tdx.Register{3, seed},
			RTMR2: tdx.Register{byte(4 + i), seed}, RTMR3: tdx.ProfileRTMR3(string(p))}
	}
	return ev
}

func promoted(t *testing.T, evs ...policies.Evidence) map[release.Profile]*policies.Working {
	t.Helper()
	out := map[release.Profile]*policies.Working{}
	for _, p := range release.Profiles() {
		w := &policies.Working{SchemaVersion: "1", Profile: p, AllowedTCBStatus: []string{"UpToDate"},
			Measurements: []policies.Measurement{}, Revoked: []policies.Revocation{}}
		for _, ev := range evs {
			var err error
			w, err = policies.Promote(w, ev)
			require.NoError(t, err)
		}
		out[p] = w
	}
	return out
}

func published(t *testing.T, kms string, evs ...policies.Evidence) map[release.Profile]*policies.Policy {
	t.Helper()
	out := map[release.Profile]*policies.Policy{}
	for p, w := range promoted(t, evs...) {
		var last policies.Evidence
		if len(evs) > 0 {
			last = evs[len(evs)-1]
		}
		policy, err := policies.Generate(w, tag(t, kms).Version, last)
		require.NoError(t, err)
		out[p] = policy
	}
	return out
}

func shipped(t *testing.T) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Declare(&catalog.Catalog{SchemaVersion: "1", Entries: []catalog.Entry{}},
		catalog.Pair{KMS: release.Version{Major: 1}, NodeImage: release.Version{Major: 1}}, "")
	require.NoError(t, err)
	return c
}

func TestPair(t *testing.T) {
	t.Parallel()
	rc, final := evidence(t, "mero-tee-v1.0.0-rc.1", 1), evidence(t, "mero-tee-v1.0.0", 2)
	altered := evidence(t, "mero-tee-v1.0.0", 3)
	altered.Digest = final.Digest
	revoked := promoted(t, final)
	revoked[release.Debug].Revoked = []policies.Revocation{{Registers: final.Registers[release.Debug],
		Reason: "CVE-2026-0001"}}
	nodes := func(evs ...policies.Evidence) world {
		w := world{nodes: map[release.Tag]policies.Evidence{}}
		for _, ev := range evs {
			w.nodes[ev.Tag] = ev
		}
		return w
	}
	kms := func(name string, set map[release.Profile]*policies.Policy, evs ...policies.Evidence) world {
		w := nodes(evs...)
		w.kms = map[release.Tag]map[release.Profile]*policies.Policy{tag(t, name): set}
		return w
	}
	incomplete := published(t, "mero-kms-v1.0.0", final)
	delete(incomplete, release.DebugReadOnly)
	const pass, na = check.Passed, check.Inapplicable
	for name, tc := range map[string]struct {
		tag, counterpart string
		world            world
		working          map[release.Profile]*policies.Working
		want             [3]check.Status
		code             fault.Code
		reason           string
	}{
		"kms": {"mero-kms-v1.0.0", "1.0.0", nodes(rc, final), promoted(t, rc, final),
			[3]check.Status{pass, pass, pass}, 0, ""},
		"kms candidate, promoted": {"mero-kms-v1.0.0-rc.1", "1.0.0-rc.1", nodes(rc), promoted(t, rc),
			[3]check.Status{pass, pass, pass}, 0, ""},
		"kms candidate, not promoted": {"mero-kms-v1.0.0-rc.1", "1.0.0-rc.1", nodes(rc), promoted(t),
			[3]check.Status{pass, pass, na}, 0, ""},
		"first kms candidate": {"mero-kms-v1.0.0-rc.1", "", world{}, promoted(t),
			[3]check.Status{na, na, na}, 0, ""},
		"first kms, stable": {"mero-kms-v1.0.0", "1.0.0", world{}, promoted(t),
			[3]check.Status{check.Failed, pass, check.Failed}, fault.Verification, "mero-tee-v1.0.0 is not released"},
		"kms, other node exists": {"mero-kms-v1.0.0-rc.1", "1.0.0", nodes(rc), promoted(t),
			[3]check.Status{check.Failed, pass, check.Skipped}, fault.Verification, "mero-tee-v1.0.0 is not released"},
		"kms, variable unset": {"mero-kms-v1.0.0", "", nodes(final), promoted(t, final), [3]check.Status{
			check.Failed, check.Failed, check.Failed}, fault.Usage, "MERO_TEE_VERSION does not name the counterpart"},
		"kms, not listed": {"mero-kms-v2.0.0", "1.0.0", nodes(final), promoted(t, final),
			[3]check.Status{pass, check.Failed, pass}, fault.Verification, "not in the compatibility catalog"},
		"kms, not promoted": {"mero-kms-v1.0.0", "1.0.0", nodes(rc, final), promoted(t, rc),
			[3]check.Status{pass, pass, check.Failed}, fault.Verification, "no measurement of mero-tee-v1.0.0 is promoted"},
		"kms, other values": {"mero-kms-v1.0.0-rc.1", "1.0.0", nodes(altered), promoted(t, final),
			[3]check.Status{pass, pass, check.Failed}, fault.Verification,
			"rtmr1, rtmr2 of mero-tee-v1.0.0 in the debug policy differs"},
		"kms, revoked": {"mero-kms-v1.0.0-rc.1", "1.0.0", nodes(final), revoked,
			[3]check.Status{pass, pass, check.Failed}, fault.Verification, "revoked: CVE-2026-0001"},
		"kms, no working policy": {"mero-kms-v1.0.0", "1.0.0", nodes(final), nil,
			[3]check.Status{pass, pass, check.Failed}, fault.MissingAsset, "no working policy"},
		"node": {"mero-tee-v1.0.0", "1.0.0-rc.1", kms("mero-kms-v1.0.0-rc.1",
			published(t, "mero-kms-v1.0.0-rc.1", rc), rc), nil, [3]check.Status{pass, pass, pass}, 0, ""},
		"first node candidate": {"mero-tee-v1.0.0-rc.1", "", world{}, nil, [3]check.Status{na, na, na}, 0, ""},
		"first node, stable": {"mero-tee-v1.0.0", "1.0.0", world{}, nil,
			[3]check.Status{check.Failed, pass, check.Failed}, fault.Verification, "mero-kms-v1.0.0 is not released"},
		"node, of a withdrawn release": {"mero-tee-v1.0.0-rc.2", "1.0.0",
			kms("mero-kms-v1.0.0", published(t, "mero-kms-v1.0.0", rc, final), final), nil,
			[3]check.Status{pass, pass, check.Failed}, fault.Verification, "names a node release that does not exist"},
		"node, other values": {"mero-tee-v1.0.0-rc.2", "1.0.0",
			kms("mero-kms-v1.0.0", published(t, "mero-kms-v1.0.0", final), altered), nil,
			[3]check.Status{pass, pass, check.Failed}, fault.Verification, "differs from what is published"},
		"node, policy missing": {"mero-tee-v1.0.0-rc.2", "1.0.0", kms("mero-kms-v1.0.0", incomplete, final), nil,
			[3]check.Status{pass, pass, check.Failed}, fault.MissingAsset, "lacks a policy"},
		"node candidate, empty policy": {"mero-tee-v1.0.0-rc.1", "1.0.0-rc.1",
			kms("mero-kms-v1.0.0-rc.1", published(t, "mero-kms-v1.0.0-rc.1")), nil, [3]check.Status{pass, pass, na}, 0, ""},
		"node, stable and empty policy": {"mero-tee-v1.0.0", "1.0.0-rc.1",
			kms("mero-kms-v1.0.0-rc.1", published(t, "mero-kms-v1.0.0-rc.1")), nil, [3]check.Status{pass, pass, check.Failed},
			fault.Verification, "hold no measurement yet"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			results, err := guard.Pair(t.Context(), guard.PairInput{Tag: tag(t, tc.tag), Counterpart: tc.counterpart,
				Releases: tc.world, Catalog: shipped(t), Working: tc.working, Evidence: tested(t, rc, final), Now: today})
			require.NoError(t, err)
			require.Len(t, results, 4)
			for i, r := range results[:3] {
				require.Equal(t, tc.want[i], r.Status, r.Name+": "+r.Reason)
			}
			require.Equal(t, tc.code, fault.CodeOf(results.Err()))
			if tc.reason != "" {
				require.ErrorContains(t, results.Err(), tc.reason)
			}
		})
	}
}

// "A stable is paired with a stable; with a candidate only while the other family has no stable release."
func TestAStableIsPairedWithAStable(t *testing.T) {
	t.Parallel()
	const pass, fail, na, skipped = check.Passed, check.Failed, check.Inapplicable, check.Skipped
	for name, tc := range map[string]struct {
		tag, counterpart string
		released         []string // of the other family
		want             check.Status
	}{
		"a stable":                         {"mero-kms-v1.0.0", "1.0.0", []string{"1.0.0"}, pass},
		"a candidate, the first of all":    {"mero-tee-v1.0.0", "1.0.0-rc.2", []string{"1.0.0-rc.1", "1.0.0-rc.2"}, pass},
		"a candidate beside its stable":    {"mero-kms-v1.0.0", "1.0.0-rc.2", []string{"1.0.0-rc.2", "1.0.0"}, fail},
		"a candidate of the next":          {"mero-tee-v1.1.0", "1.1.0-rc.1", []string{"1.0.0", "1.1.0-rc.1"}, fail},
		"a candidate, older stables":       {"mero-kms-v2.0.0", "2.0.0-rc.9", []string{"2.0.0-rc.9", "0.9.0", "0.1.0"}, fail},
		"a hotfix and a candidate":         {"mero-kms-v1.0.1", "1.0.1-rc.1", []string{"1.0.0", "1.0.1-rc.1"}, fail},
		"a candidate with a candidate":     {"mero-kms-v1.0.0-rc.1", "1.0.0-rc.1", []string{"1.0.0-rc.1", "1.0.0"}, na},
		"a candidate that nobody released": {"mero-kms-v1.0.0", "1.0.0-rc.7", []string{"1.0.0"}, fail},
		"no version":                       {"mero-kms-v1.0.0", "", []string{"1.0.0"}, fail}, // skipped: refused
		"no version, a candidate":          {"mero-kms-v1.0.0-rc.1", "", []string{"1.0.0"}, skipped},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mine := tag(t, tc.tag)
			w := world{nodes: map[release.Tag]policies.Evidence{}, kms: map[release.Tag]map[release.Profile]*policies.Policy{}}
			for _, v := range tc.released {
				if mine.Family == release.KMS {
					w.nodes[tag(t, "mero-tee-v"+v)] = evidence(t, "mero-tee-v"+v, 1)
				} else {
					w.kms[tag(t, "mero-kms-v"+v)] = published(t, "mero-kms-v"+v, evidence(t, "mero-tee-v1.0.0", 1))
				}
			}
			results, err := guard.Pair(t.Context(), guard.PairInput{Tag: mine, Counterpart: tc.counterpart, Releases: w,
				Catalog: shipped(t), CatalogPath: "pairs.json", Working: promoted(t)})
			require.NoError(t, err)
			r := results[3]
			require.Contains(t, r.Name, "stable counterpart")
			require.Equal(t, tc.want, r.Status, r.Reason)
			if r.Status == fail && tc.counterpart != "" {
				require.Contains(t, r.Got, tc.counterpart)
				require.Contains(t, r.Hint, mine.Family.Counterpart().VersionVariable())
			}
		})
	}
}

func TestPairReportsWhatItCouldNotAsk(t *testing.T) {
	t.Parallel()
	down := errors.New("connection refused")
	_, err := guard.Pair(t.Context(), guard.PairInput{Tag: tag(t, "mero-kms-v1.0.0-rc.1"), Counterpart: "1.0.0",
		Releases: world{down: down}, Catalog: shipped(t)})
	require.ErrorIs(t, err, down, "a list that could not be read is not an empty list")
}

func TestCounterpartHintNamesWhatExists(t *testing.T) {
	t.Parallel()
	r := guard.CounterpartExists(tag(t, "mero-tee-v1.3.0"),
		[]release.Tag{tag(t, "mero-tee-v1.2.0"), tag(t, "mero-tee-v1.10.0-rc.1")})
	require.Contains(t, r.Got, "the newest mero-tee-v1.10.0-rc.1")
	require.Contains(t, r.Hint, "MERO_TEE_VERSION")
	require.Contains(t, guard.CounterpartExists(tag(t, "mero-kms-v1.0.0"), nil).Hint, "mero-kms-v1.0.0-rc.1")
}

// today is a day on which every measurement of these tests was seen.
var today = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// A tuple is judged against the release that it names, whether that is the counterpart or an older one.
func TestEveryTupleIsOfTheReleaseThatItNames(t *testing.T) {
	t.Parallel()
	rc, final := evidence(t, "mero-tee-v1.0.0-rc.1", 1), evidence(t, "mero-tee-v1.0.0", 2)
	const p = release.LockedReadOnly
	seen := func(day string) func(*policies.Measurement) {
		return func(m *policies.Measurement) {
			m.FirstSeen, m.MRTD, m.Evidence = day, tdx.Register{9}, "sha256:"+strings.Repeat("9", 64)
		}
	}
	for name, tc := range map[string]struct {
		change func(*policies.Measurement) // of the older release's tuple
		reason string
	}{
		"as it was published":            {func(*policies.Measurement) {}, ""},
		"seen later, on another machine": {seen("2026-06-01"), ""},
		"an evil image": {func(m *policies.Measurement) { m.RTMR1, m.RTMR2 = tdx.Register{66}, tdx.Register{67} },
			"rtmr1, rtmr2 of mero-tee-v1.0.0-rc.1 in the locked-read-only policy differs"},
		"registers of two releases": {func(m *policies.Measurement) { m.RTMR2 = final.Registers[p].RTMR2 },
			"rtmr2 of mero-tee-v1.0.0-rc.1 in the locked-read-only policy differs"},
		"evidence of another release": {func(m *policies.Measurement) { m.Evidence = final.Digest },
			"of mero-tee-v1.0.0-rc.1 is not the evidence"},
		"a release that does not exist": {func(m *policies.Measurement) { m.NodeRelease = tag(t, "mero-tee-v0.9.0") },
			"names a node release that does not exist"},
		"seen tomorrow":    {seen("2026-06-02"), "first seen in the future"},
		"of the year 9999": {seen("9999-12-31"), "first seen in the future"},
		"seen later, by what the release published": {func(m *policies.Measurement) {
			m.FirstSeen, m.MRTD = "2026-05-01", tdx.Register{9}
		}, "mrtd of mero-tee-v1.0.0-rc.1 in the locked-read-only policy differs"},
		"seen later, of another image": {func(m *policies.Measurement) {
			seen("2026-05-01")(m)
			m.RTMR1 = tdx.Register{66}
		}, "is of another image"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			working := promoted(t, rc, final)
			tc.change(&working[p].Measurements[0])
			kms := map[release.Profile]*policies.Policy{}
			for profile, w := range working {
				kms[profile] = &policies.Policy{Profile: profile, Measurements: w.Measurements}
			}
			w := world{nodes: map[release.Tag]policies.Evidence{rc.Tag: rc, final.Tag: final},
				kms: map[release.Tag]map[release.Profile]*policies.Policy{tag(t, "mero-kms-v1.0.0"): kms}}
			for _, mine := range []string{"mero-kms-v1.0.0", "mero-tee-v1.0.0"} {
				results, err := guard.Pair(t.Context(), guard.PairInput{Tag: tag(t, mine), Counterpart: "1.0.0", Releases: w,
					Catalog: shipped(t), Working: working, Evidence: tested(t, rc, final), Now: today})
				require.NoError(t, err)
				if tc.reason == "" {
					require.Equal(t, check.Passed, results[2].Status, results[2].Reason)
					continue
				}
				require.Equal(t, check.Failed, results[2].Status, mine)
				require.Equal(t, fault.Verification, fault.CodeOf(results.Err()))
				require.Contains(t, results[2].Reason, tc.reason, mine)
			}
		})
	}
}

func TestARefreshedTupleIsOfThePublishedImage(t *testing.T) {
	t.Parallel()
	tag := release.Tag{Family: release.Node, Version: release.Version{Major: 1}}
	ev := policies.Evidence{Tag: tag, Digest: "sha256:a", Registers: map[release.Profile]tdx.Registers{}}
	working := map[release.Profile]*policies.Working{}
	for i, p := range release.Profiles() {
		r := tdx.Registers{MRTD: tdx.Register{1}, RTMR1: tdx.Register{2}, RTMR2: tdx.Register{byte(3 + i)}}
		ev.Registers[p] = r
		seen := r
		seen.MRTD = tdx.Register{9}
		working[p] = &policies.Working{Profile: p,
			Measurements: []policies.Measurement{{NodeRelease: tag, Evidence: "sha256:a", Registers: r},
				{NodeRelease: tag, Evidence: "sha256:b", FirstSeen: "2026-05-01", Registers: seen}}}
	}
	kms := release.Tag{Family: release.KMS, Version: release.Version{Major: 1}}
	in, published := guard.PairInput{Tag: kms, Working: working, Now: today}, policies.Published{tag: ev}
	require.Equal(t, check.Passed, in.WorkingReferences(tag, published).Status)
	working[release.Debug].Measurements[1].RTMR2[5] = 1
	r := in.WorkingReferences(tag, published)
	require.Equal(t, check.Failed, r.Status)
	require.Contains(t, r.Reason, "another image")
}

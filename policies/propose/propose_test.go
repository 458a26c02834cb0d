package propose_test

import (
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/catalog/evidence"
	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/git"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/guard"
	"github.com/calimero-network/mero-tee/policies"
	"github.com/calimero-network/mero-tee/policies/propose"
	"github.com/calimero-network/mero-tee/policies/schema"
)

func TestPromoteOpensOnePullRequest(t *testing.T) {
	t.Parallel()
	w, data := newWorld(t), published(t, "1.2.0", nil)
	p, err := promote(t, w.main(), data)
	require.NoError(t, err)
	pr := w.open(p)
	require.Positive(t, pr.Number)
	require.Equal(t, pr, w.open(p), "run twice, one pull request")

	pulls := w.pulls()
	require.Len(t, pulls, 1)
	require.Equal(t, "policy/promote-mero-tee-v1.2.0", pulls[0].Head.Ref)
	require.Len(t, pulls[0].Labels, 1)
	require.Equal(t, "policy-promotion", pulls[0].Labels[0].Name)
	m, err := measurement.Decode(data)
	require.NoError(t, err)
	e := m.Profiles[release.Debug].Evidence
	for _, fact := range []string{m.Commit, digestLine(data), e.Quote.String(), e.EventLog.String(), e.Collateral.String(),
		m.Profiles[release.LockedReadOnly].RTMR2.String(), m.Profiles[release.LockedReadOnly].RTMR2.String()[:16] + "…"} {
		require.Contains(t, pulls[0].Body, fact)
	}
	page := w.file("docs/policy-changes/promote-mero-tee-v1.2.0.md", p.Branch())
	require.True(t, strings.HasPrefix(page, "# Promote the measurements of mero-tee-v1.2.0\n"))
	require.True(t, strings.HasPrefix(pulls[0].Body,
		strings.TrimPrefix(page, "# Promote the measurements of mero-tee-v1.2.0\n\n")))
	for _, profile := range release.Profiles() {
		file := w.file("policies/"+policies.File(profile), p.Branch())
		require.NoError(t, schema.ValidateWorking([]byte(file)))
		require.Contains(t, file, m.Profiles[profile].RTMR2.String())
		require.NotContains(t, w.file("policies/"+policies.File(profile), "main"), "mero-tee-v1.2.0",
			"nothing is edited without review")
	}

	w.push(p.After)
	again, err := promote(t, w.main(), data)
	require.NoError(t, err)
	require.True(t, again.Empty())
	require.Zero(t, w.open(again), "merged: nothing is left to propose")
}

func TestAProposalPassesTheDocGuard(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, err := promote(t, w.main(), published(t, "1.2.0", nil))
	require.NoError(t, err)
	require.NotContains(t, p.Body(), "REHEARSAL")
	p.Banner = "REHEARSAL: not for use"
	w.open(p)
	require.True(t, strings.HasPrefix(w.pulls()[0].Body, "> REHEARSAL: not for use\n\nPromotes"))
	require.Contains(t, w.file(p.Page(), p.Branch()), "> REHEARSAL: not for use\n")
	const line = "- [Promote the measurements of mero-tee-v1.2.0](policy-changes/promote-mero-tee-v1.2.0.md)\n"
	require.Equal(t, "# Attestation policies\n\n## Changes so far\n\n"+line, w.file("docs/policies.md", p.Branch()))
	guarded := func(files ...string) check.Status {
		changed := guard.Proposed{Files: map[string]git.Status{}}
		for _, f := range files {
			changed.Files[f] = git.Modified
		}
		return guard.Docs(changed)[0].Status
	}
	require.Equal(t, check.Passed, guarded("policies/debug.json", p.Page(), "docs/policies.md"))
	require.Equal(t, check.Failed, guarded("policies/debug.json"), "the pages are what it passes for")

	w.pushFiles(map[string][]byte{"docs/policies.md": []byte(w.file("docs/policies.md", p.Branch()))}, p.After)
	r, err := propose.Revoke(w.main(), propose.Target{Tag: node(t, "1.2.0")}, "incident 7", day)
	require.NoError(t, err)
	w.open(r)
	require.True(t, strings.HasSuffix(w.file("docs/policies.md", r.Branch()),
		line+"- [Revoke the measurements of mero-tee-v1.2.0](policy-changes/revoke-mero-tee-v1.2.0.md)\n"))
}

// The page as it is shipped has the section, which is the last one and empty at first.
func TestTheShippedPageTakesTheLine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	shipped, err := os.ReadFile("../../docs/policies.md")
	require.NoError(t, err)
	w.pushFiles(map[string][]byte{"docs/policies.md": shipped}, w.main())
	p, err := promote(t, w.main(), published(t, "99.9.9", nil))
	require.NoError(t, err)
	w.open(p)
	page := w.file("docs/policies.md", p.Branch())
	require.True(t, strings.HasPrefix(page, strings.TrimRight(string(shipped), "\n")+"\n"))
	require.True(t, strings.HasSuffix(page,
		"\n- [Promote the measurements of mero-tee-v99.9.9](policy-changes/promote-mero-tee-v99.9.9.md)\n"))
	require.Equal(t, 1, strings.Count(page, "\n## Changes so far\n\n- ["))
}

func TestRacingPromotionsEndInOnePullRequest(t *testing.T) {
	t.Parallel()
	w, data := newWorld(t), published(t, "1.2.0", nil)
	before := w.main()
	var wg sync.WaitGroup
	prs, errs := make([]github.PullRequest, 4), make([]error, 4)
	for i := range prs {
		wg.Go(func() {
			p, err := promote(t, before, data)
			if err == nil {
				prs[i], err = propose.Open(t.Context(), w.client, p)
			}
			errs[i] = err
		})
	}
	wg.Wait()
	for i := range prs {
		require.NoError(t, errs[i])
		require.Equal(t, prs[0], prs[i])
	}
	require.Len(t, w.pulls(), 1)
}

func TestPromoteRefuses(t *testing.T) {
	t.Parallel()
	kms, err := os.ReadFile("../../internal/attestation/measurement/testdata/kms.json")
	require.NoError(t, err)
	oneBoot := func(name release.Profile, m *measurement.Profile) {
		if name == release.LockedReadOnly {
			m.Evidence.Boots = 1
		}
	}
	otherFormula := func(_ release.Profile, m *measurement.Profile) { m.RTMR3 = &m.RTMR2 }
	for name, tc := range map[string]struct {
		data []byte
		want string
	}{
		"single boot": {published(t, "1.2.0", oneBoot),
			"the locked-read-only measurement of mero-tee-v1.2.0 is not stable"},
		"RTMR3":          {published(t, "1.2.0", otherFormula), "says what cannot be"},
		"another family": {kms, "another family"},
		"no JSON":        {[]byte("{"), "published-mrtds.json"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			_, err := promote(t, w.main(), tc.data)
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, fault.Verification, fault.CodeOf(err))
		})
	}
}

func TestARevokedTupleIsNeverPromotedAgain(t *testing.T) {
	t.Parallel()
	w := promoted(t)
	p, err := propose.Revoke(w.main(), propose.Target{Tag: node(t, "1.2.0")},
		"CVE-2026-1234: key leak | see <incident> 7", day)
	require.NoError(t, err)
	require.Positive(t, w.open(p).Number)
	require.Equal(t, "policy-revocation", w.pulls()[0].Labels[0].Name)
	require.Contains(t, w.pulls()[0].Body, "CVE-2026-1234")
	require.Contains(t, w.pulls()[0].Body, "No measurement of locked-read-only is left")
	require.NotContains(t, w.pulls()[0].Body, "<incident>")
	w.push(p.After)

	_, err = promote(t, w.main(), published(t, "1.2.0", nil))
	require.ErrorContains(t, err, "the debug measurement of mero-tee-v1.2.0 is revoked: CVE-2026-1234: key leak")
	require.Equal(t, fault.Verification, fault.CodeOf(err))
	_, err = propose.Refresh(t.Context(), w.client, w.main(),
		propose.Observation{Published: published(t, "1.2.0", firmware), Day: day, Platform: platform()})
	require.ErrorContains(t, err, "no debug measurement of mero-tee-v1.2.0 stands", "not under another firmware either")

	again, err := propose.Revoke(w.main(), propose.Target{Tag: node(t, "1.2.0")}, "another reason", day)
	require.NoError(t, err)
	require.True(t, again.Empty())
	require.Zero(t, w.open(again))
}

func TestRevokeByRegister(t *testing.T) {
	t.Parallel()
	w := promoted(t)
	rtmr2 := registerOf(t, w, release.DebugReadOnly)
	p, err := propose.Revoke(w.main(), propose.Target{Prefix: rtmr2[:16]}, "incident 7", day)
	require.NoError(t, err)
	require.Equal(t, "policy/revoke-"+rtmr2[:16], p.Branch())
	require.Len(t, p.After[release.DebugReadOnly].Revoked, 1)
	require.Empty(t, p.After[release.DebugReadOnly].Measurements)
	require.Equal(t, p.Before[release.Debug], p.After[release.Debug])
	w.open(p)
	require.Equal(t, w.file("policies/debug.json", "main"), w.file("policies/debug.json", p.Branch()),
		"only what changes is in the change")
}

func TestRevokeRefuses(t *testing.T) {
	t.Parallel()
	w := promoted(t)
	tag := propose.Target{Tag: node(t, "1.2.0")}
	for name, tc := range map[string]struct {
		target propose.Target
		reason string
	}{
		"no reason":        {tag, "  "},
		"two lines":        {tag, "a\nb"},
		"escape":           {tag, "a\x1b[2J"},
		"long reason":      {tag, strings.Repeat("a", 501)},
		"nothing":          {propose.Target{}, "r"},
		"both":             {propose.Target{Tag: node(t, "1.2.0"), Prefix: "01010101"}, "r"},
		"short prefix":     {propose.Target{Prefix: "0101"}, "r"},
		"upper case":       {propose.Target{Prefix: "ABABABAB"}, "r"},
		"unknown release":  {propose.Target{Tag: node(t, "9.9.9")}, "r"},
		"unknown register": {propose.Target{Prefix: "fefefefe"}, "r"},
		"kms":              {propose.Target{Tag: release.Tag{Family: release.KMS, Version: release.Version{Major: 1}}}, "r"},
	} {
		_, err := propose.Revoke(w.main(), tc.target, tc.reason, day)
		require.Equal(t, fault.Usage, fault.CodeOf(err), name)
	}
}

func TestRefreshOpensOnePullRequest(t *testing.T) {
	t.Parallel()
	w, data := promoted(t), published(t, "1.2.0", firmware)
	o := propose.Observation{Profile: release.LockedReadOnly, Published: data, Day: day, Platform: platform()}
	p, err := propose.Refresh(t.Context(), w.client, w.main(), o)
	require.NoError(t, err)
	pr := w.open(p)
	require.Equal(t, "policy-refresh", w.pulls()[0].Labels[0].Name)
	file := w.file("policies/locked-read-only.json", p.Branch())
	require.Contains(t, file, `"first_seen": "2026-05-01"`)
	require.Contains(t, file, digestLine(data))
	require.Equal(t, w.file("policies/debug.json", "main"), w.file("policies/debug.json", p.Branch()))
	require.True(t, hasLine(w.pulls()[0].Body, "rtmr1, rtmr2, rtmr3 | as mero-tee-v1.2.0 | the same"))

	o.Day = "2026-05-02"
	later, err := propose.Refresh(t.Context(), w.client, w.main(), o)
	require.NoError(t, err)
	require.Equal(t, p, later, "first seen stays first seen")
	require.Equal(t, pr, w.open(later))
	w.push(p.After)
	merged, err := propose.Refresh(t.Context(), w.client, w.main(), o)
	require.NoError(t, err)
	require.True(t, merged.Empty())

	o.Profile = ""
	all, err := propose.Refresh(t.Context(), w.client, w.main(), o)
	require.NoError(t, err)
	require.Len(t, all.After[release.Debug].Measurements, 2)
	require.Equal(t, "refresh-all-"+digestLine(data)[7:19], all.Name)
}

// Another release of the same image saw the platform move.
func TestRefreshFromAnotherRelease(t *testing.T) {
	t.Parallel()
	w := promoted(t)
	sameImage := published(t, "1.2.1", func(name release.Profile, m *measurement.Profile) {
		m.RTMR1[0] ^= 1
		firmware(name, m)
	})
	p, err := propose.Refresh(t.Context(), w.client, w.main(),
		propose.Observation{Published: sameImage, Elsewhere: true, Day: day, Platform: platform()})
	require.NoError(t, err)
	got := p.After[release.Debug].Measurements[1]
	require.Equal(t, node(t, "1.2.0"), got.NodeRelease)
	require.Equal(t, digestLine(sameImage), got.Evidence)

	otherImage := published(t, "1.2.1", firmware)
	_, err = propose.Refresh(t.Context(), w.client, w.main(),
		propose.Observation{Published: otherImage, Elsewhere: true, Day: day})
	require.ErrorContains(t, err, "no promoted release has the debug image of mero-tee-v1.2.1")
	require.Equal(t, fault.Verification, fault.CodeOf(err))
}

func TestRefreshRefusesAnotherImage(t *testing.T) {
	t.Parallel()
	w := promoted(t)
	for register, change := range map[string]func(*measurement.Profile){
		"rtmr1": func(m *measurement.Profile) { m.RTMR1[5] ^= 1 },
		"rtmr2": func(m *measurement.Profile) { m.RTMR2[5] ^= 1 },
	} {
		data := published(t, "1.2.0", func(_ release.Profile, m *measurement.Profile) { change(m) })
		_, err := propose.Refresh(t.Context(), w.client, w.main(),
			propose.Observation{Profile: release.Debug, Published: data, Day: day})
		require.ErrorContains(t, err, register+" is not that of mero-tee-v1.2.0: this is another image")
		require.Equal(t, fault.Verification, fault.CodeOf(err))
	}
	single := published(t, "1.2.0", func(name release.Profile, m *measurement.Profile) {
		firmware(name, m)
		m.Evidence.Boots = 1
	})
	_, err := propose.Refresh(t.Context(), w.client, w.main(), propose.Observation{Published: single, Day: day})
	require.ErrorContains(t, err, "is not stable")
}

func TestLoadTellsMissingFromUnanswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := propose.Load(t.Context(), w.client, "nowhere")
	require.Equal(t, fault.MissingAsset, fault.CodeOf(err))
	require.ErrorIs(t, err, github.ErrNotFound)
	impostor, err := github.New(github.Options{Repository: repository, Token: "wrong", Transport: w.http.Transport})
	require.NoError(t, err)
	_, err = propose.Load(t.Context(), impostor, propose.Base)
	require.Equal(t, fault.General, fault.CodeOf(err))
}

// "Only verified measurements from successful E2E runs."
func TestPromoteAsksForASuccessfulE2E(t *testing.T) {
	t.Parallel()
	data := published(t, "1.2.0", nil)
	tag := node(t, "1.2.0")
	for name, tc := range map[string]struct {
		change func(*evidence.E2E)
		code   fault.Code
		says   string
	}{
		"passed": {nil, fault.Success, ""},
		"a failed check": {func(e *evidence.E2E) { e.Profiles[1].Checks[0].Result = check.Failed }, fault.Verification,
			"no successful E2E of mero-tee-v1.2.0"},
		"a skipped check": {func(e *evidence.E2E) { e.Profiles[2].Checks[0].Result = check.Skipped }, fault.Verification,
			"no successful E2E of mero-tee-v1.2.0 (locked-read-only)"},
		"other registers": {func(e *evidence.E2E) { e.Profiles[0].Node.Seen.RTMR2[0] ^= 1 }, fault.Verification,
			"no successful E2E of mero-tee-v1.2.0 (debug)"},
		"other bytes": {func(e *evidence.E2E) { e.Node.Measurements[0] ^= 1 }, fault.Verification, "(debug)"},
		"one profile alone": {func(e *evidence.E2E) { e.Profiles = e.Profiles[:1] }, fault.Verification,
			"no successful E2E of mero-tee-v1.2.0 (debug-read-only)"},
		"another release": {func(e *evidence.E2E) { e.Node.Release.Version.Minor++ }, fault.MissingAsset,
			"no evidence of E2E of mero-tee-v1.2.0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			v := propose.Voucher{Tests: vouching(t, data)}
			if tc.change != nil {
				tc.change(v.Tests[tag][0])
			}
			p, err := propose.Promote(w.main(), data, v)
			require.Equal(t, tc.code, fault.CodeOf(err), "%v", err)
			if tc.says != "" {
				require.ErrorContains(t, err, tc.says)
				return
			}
			require.Contains(t, p.Grounds, "`catalog/evidence/1.2.0-rc.1--1.2.0.json`: passed with `mero-kms-v1.2.0-rc.1`")
		})
	}
	_, err := propose.Promote(newWorld(t).main(), data, propose.Voucher{})
	require.Equal(t, fault.MissingAsset, fault.CodeOf(err), "no evidence at all")
}

func TestAPromotionWithoutE2ESaysSoEverywhere(t *testing.T) {
	t.Parallel()
	w, data := newWorld(t), published(t, "1.2.0", nil)
	for _, bad := range []string{" ", "None.", "n/a", "todo"} {
		_, err := propose.Promote(w.main(), data, propose.Voucher{WithoutE2E: bad})
		require.Equal(t, fault.Usage, fault.CodeOf(err), bad)
	}
	const why = "the provider has no TDX hosts until Friday"
	p, err := propose.Promote(w.main(), data, propose.Voucher{WithoutE2E: why})
	require.NoError(t, err)
	require.Contains(t, p.Body(), "**Promoted without E2E**: "+why)
	require.Contains(t, p.Body(), `| added | mero-tee-v1.2.0 | without\_e2e | - | `+why+" |")
	for _, profile := range release.Profiles() {
		require.Equal(t, why, p.After[profile].Measurements[0].WithoutE2E)
	}
	tested, err := propose.Promote(p.After, data, propose.Voucher{Tests: vouching(t, data)})
	require.NoError(t, err)
	require.Contains(t, tested.Body(), `| changed | mero-tee-v1.2.0 | without\_e2e | `+why+" | - |")
}

// The day of a revocation is that of its first proposal.
func TestARevocationKeepsItsDay(t *testing.T) {
	t.Parallel()
	w := promoted(t)
	target := propose.Target{Tag: node(t, "1.2.0")}
	first, err := propose.RevokedOn(t.Context(), w.client, target, "2026-05-01")
	require.NoError(t, err)
	require.Equal(t, "2026-05-01", first)
	p, err := propose.Revoke(w.main(), target, "CVE-2026-0001", first)
	require.NoError(t, err)
	_, err = propose.Open(t.Context(), w.client, p)
	require.NoError(t, err)
	later, err := propose.RevokedOn(t.Context(), w.client, target, "2026-06-01")
	require.NoError(t, err)
	require.Equal(t, first, later)
}

func TestTestsOfARelease(t *testing.T) {
	t.Parallel()
	w, data := newWorld(t), published(t, "1.2.0", nil)
	want := vouching(t, data)
	tests, err := propose.TestsOf(t.Context(), w.client, node(t, "1.2.0"))
	require.NoError(t, err)
	require.Empty(t, tests[node(t, "1.2.0")])
	e := want[node(t, "1.2.0")][0]
	encoded, err := e.Encode()
	require.NoError(t, err)
	_, err = w.server.Merge("evidence", map[string][]byte{e.Path(): encoded})
	require.NoError(t, err)
	tests, err = propose.TestsOf(t.Context(), w.client, node(t, "1.2.0"))
	require.NoError(t, err)
	require.Equal(t, want, tests)
	edited := strings.Replace(string(encoded), `"note":`, `"passed": true, "note":`, 1)
	_, err = w.server.Merge("by hand", map[string][]byte{e.Path(): []byte(edited)})
	require.NoError(t, err)
	_, err = propose.TestsOf(t.Context(), w.client, node(t, "1.2.0"))
	require.Equal(t, fault.Verification, fault.CodeOf(err))
}

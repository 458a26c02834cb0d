package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/inprocess"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
	"github.com/calimero-network/mero-tee/internal/release"
)

// noCapacity lets nodes of a profile not boot.
func (w *world) noCapacity(p release.Profile) {
	w.edit = func(of release.Profile, r *agent.Report, err error) (*agent.Report, error) {
		if of == p {
			return nil, errors.New("no capacity in the zone")
		}
		return r, err
	}
}

// onReport changes the reports of locked nodes.
func (w *world) onReport(change func(*agent.Report)) {
	w.edit = func(p release.Profile, r *agent.Report, err error) (*agent.Report, error) {
		if p == release.LockedReadOnly && err == nil {
			change(r)
		}
		return r, err
	}
}

// onHealth changes what locked nodes say about merod.
func (w *world) onHealth(status int, state string) {
	w.onReport(func(r *agent.Report) { r.Health = agent.NewHealth(status, state, nil) })
}

// onVisit changes what locked nodes say about their visits.
func (w *world) onVisit(change func(*agent.VisitResult)) {
	w.onReport(func(r *agent.Report) {
		for i := range r.Visits {
			change(&r.Visits[i])
		}
	})
}

// start changes locked nodes before their agent runs.
func (w *world) start(change func(*inprocess.Machine) error, options ...tdxsim.TDOption) {
	w.host.Start = func(i inprocess.Image) (*inprocess.Machine, error) {
		if i.Profile != release.LockedReadOnly {
			return i.Boot(w.machine)
		}
		m, err := i.Boot(w.machine, options...)
		if err != nil {
			return nil, err
		}
		return m, change(m)
	}
}

// otherReport is what another node of the world says, to the same mission.
func (w *world) otherReport(version release.Version, p release.Profile) {
	w.edit = func(of release.Profile, r *agent.Report, err error) (*agent.Report, error) {
		if of != release.LockedReadOnly || err != nil {
			return r, err
		}
		nonce, err := agent.ParseNonce(r.Nonce)
		if err != nil {
			return nil, err
		}
		return w.cloud.Report(w.ctx, inprocess.Image{Version: version, Profile: p}, agent.Mission{Nonce: nonce, Health: true})
	}
}

// What a node reports is believed only as far as its quote and the service's prove it.
func TestNodesThatLie(t *testing.T) {
	t.Parallel()
	all := func(reason string) map[string]string {
		return map[string]string{bootedCheck: reason, answersCheck: reason, nodeCheck: reason, attestationCheck: reason,
			keyCheck: reason}
	}
	for name, tc := range map[string]struct {
		damage func(w *world)
		fails  map[string]string
	}{
		"the node was measured before": {func(w *world) {
			w.start(func(m *inprocess.Machine) error { return m.TD.Extend(3, tdx.Register{1}) })
		}, all("extended before")},
		"a debug TD": {func(w *world) { w.start(func(*inprocess.Machine) error { return nil }, tdxsim.Debug) },
			all("debug")},
		"wrong nonce": {func(w *world) { w.onReport(func(r *agent.Report) { r.Nonce = strings.Repeat("00", 32) }) },
			all("another nonce")},
		"another peer": {func(w *world) {
			w.onReport(func(r *agent.Report) { r.PeerID = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN" })
		}, all("report data")},
		"a broken quote": {func(w *world) { w.onReport(func(r *agent.Report) { r.Quote[100] ^= 1 }) },
			all("not genuine")},
		"the report of another profile": {func(w *world) { w.otherReport(version, release.Debug) },
			all("of another profile")},
		"RTMR3 of another profile": {func(w *world) {
			w.otherReport(version, release.Debug)
			was := w.edit
			w.edit = func(p release.Profile, r *agent.Report, err error) (*agent.Report, error) {
				if r, err = was(p, r, err); err == nil {
					r.Profile = p
				}
				return r, err
			}
		}, all("RTMR3 is not that of profile locked-read-only")},
		"zero RTMR3": {func(w *world) { w.unmeasured() }, all("RTMR3 is not that of profile locked-read-only")},
		"the event log does not replay": {func(w *world) {
			w.onReport(func(r *agent.Report) { r.EventLog = logOf(t, w, older) })
		}, all("event log does not replay")},
		"the event log is none": {func(w *world) { w.onReport(func(r *agent.Report) { r.EventLog = nil }) },
			all("event log")},
		"the node failed": {func(w *world) {
			w.onReport(func(r *agent.Report) { r.Fail(&fault.Error{Code: fault.Verification, Message: "no TDX here"}) })
		}, all("no TDX here")},
		"a node of another version": {func(w *world) { w.otherReport(older, release.LockedReadOnly) },
			map[string]string{nodeCheck: "rtmr1", attestationCheck: "not in the node's report",
				keyCheck: "not in the node's report"}},
		"a visit is missing": {func(w *world) { w.onReport(func(r *agent.Report) { r.Visits = nil }) },
			map[string]string{attestationCheck: "not in the node's report", keyCheck: "not in the node's report"}},
		"the service is not verified": {func(w *world) { w.onVisit(func(v *agent.VisitResult) { v.Verified = false }) },
			map[string]string{attestationCheck: "did not verify", keyCheck: "did not verify", staleCheck: "the node's visit"}},
		"verified, without a proof": {func(w *world) { w.onVisit(func(v *agent.VisitResult) { v.Nonce = nil }) },
			map[string]string{attestationCheck: "did not verify", keyCheck: "did not verify"}},
		"verified, by an old quote": {func(w *world) { w.onVisit(func(v *agent.VisitResult) { v.Nonce[0] ^= 1 }) },
			map[string]string{attestationCheck: "report data", keyCheck: "report data"}},
		"verified, without a key that seals": {func(w *world) {
			w.onVisit(func(v *agent.VisitResult) { v.TransportKey = nil })
		}, map[string]string{attestationCheck: "did not verify", keyCheck: "did not verify"}},
		"verified, of another's key that seals": {func(w *world) {
			w.onVisit(func(v *agent.VisitResult) { v.TransportKey[0] ^= 1 })
		}, map[string]string{attestationCheck: "report data", keyCheck: "report data"}},
		"verified, of other registers": {func(w *world) {
			w.onVisit(func(v *agent.VisitResult) { v.Registers.RTMR1[0] ^= 1 })
		},
			map[string]string{attestationCheck: "other registers than it was shown", keyCheck: "other registers"}},
		"traefik is down": {func(w *world) { w.onHealth(0, "") }, map[string]string{answersCheck: "traefik is down"}},
		"merod is down":   {func(w *world) { w.onHealth(502, "") }, map[string]string{answersCheck: "merod is down"}},
		"merod is not well": {func(w *world) { w.onHealth(503, "store_unavailable") },
			map[string]string{answersCheck: "merod is not well"}},
		"no word of its health": {func(w *world) { w.onReport(func(r *agent.Report) { r.Health = nil }) },
			map[string]string{answersCheck: "does not say whether it answers"}},
		"no key": {func(w *world) { w.onVisit(func(v *agent.VisitResult) { v.KeyReleased = false }) },
			map[string]string{keyCheck: "no key"}},
		"two different keys": {func(w *world) { w.onVisit(func(v *agent.VisitResult) { v.KeySame = false }) },
			map[string]string{keyCheck: "two different keys"}},
		"a key for two": {func(w *world) { w.onVisit(func(v *agent.VisitResult) { v.KeyOwn = false }) },
			map[string]string{keyCheck: "two peers got the same key"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tc.damage(w)
			results := w.run.Execute(t.Context()).Checks.Results()
			requireFailures(t, results, tc.fails)
			require.Equal(t, fault.Verification, fault.CodeOf(results.Err()))
		})
	}
}

// requireFailures: exactly these fail, and say why.
func requireFailures(t *testing.T, results check.Results, fails map[string]string) {
	t.Helper()
	require.Equal(t, allChecks(), names(results), "a check that could not be made has a result too")
	got := notPassed(results)
	keyless(fails)
	maps.DeleteFunc(got, isAppraisal) // a machine without a verified quote fails there too: see TestNoQuoteToAppraise
	for name, reason := range fails {
		r := got[name]
		require.Equal(t, check.Failed, r.Status, name)
		require.Contains(t, r.Reason+" "+r.Expected+" "+r.Got, reason, name)
	}
	require.Len(t, got, len(fails), "%v", got)
}

// unmeasured lets the locked node's quote come from a TD whose RTMR3 nobody extended.
func (w *world) unmeasured() {
	w.edit = func(p release.Profile, r *agent.Report, err error) (*agent.Report, error) {
		if p != release.LockedReadOnly || err != nil {
			return r, err
		}
		m, err := inprocess.Image{Version: version, Profile: p}.Boot(w.machine)
		if err != nil {
			return nil, err
		}
		return r, requote(m, r)
	}
}

func logOf(t *testing.T, w *world, v release.Version) []byte {
	t.Helper()
	m, err := inprocess.Image{Version: v, Profile: release.LockedReadOnly}.Boot(w.machine)
	require.NoError(t, err)
	return m.Log.CCEL()
}

// "verified" for the service of another profile: the quote is genuine and fresh, the instance is not the one that was
// deployed.
func TestANodeThatVerifiedAnotherService(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run.Profiles = []release.Profile{release.DebugReadOnly, release.LockedReadOnly}
	var lent *agent.VisitResult // of the node debug to the service locked-read-only
	ready := make(chan struct{})
	w.edit = func(p release.Profile, r *agent.Report, err error) (*agent.Report, error) {
		switch p {
		case release.Debug:
			lent = &r.Visits[0]
			close(ready)
		case release.DebugReadOnly:
			<-ready
			own := &r.Visits[0]
			own.Nonce, own.Quote, own.Registers, own.TransportKey = lent.Nonce, lent.Quote, lent.Registers, lent.TransportKey
		}
		return r, err
	}
	got := notPassed(w.run.Execute(t.Context()).Checks.Results())
	require.Len(t, got, 3)
	for _, name := range []string{attestationCheck, keyCheck, pairCheck} {
		name = strings.ReplaceAll(name, "locked-read-only", "debug-read-only")
		require.Contains(t, got[name].Reason, "the node verified another key service")
		require.Contains(t, got[name].Got, "rtmr3 ")
	}
}

// A refusal counts only from a service that proved itself, and only when no key came before it.
func TestRefusalsThatProveNothing(t *testing.T) {
	t.Parallel()
	for reason, change := range map[string]func(*agent.VisitResult){
		"did not verify": func(v *agent.VisitResult) {
			v.Verified, v.Refusal, v.Error, v.ExitCode = false, nil, "", 0
		},
		"the key was released":  func(v *agent.VisitResult) { v.KeyReleased = true },
		"401":                   func(v *agent.VisitResult) { v.Refusal.Status = 401 },
		"403 invalid_signature": func(v *agent.VisitResult) { v.Refusal.Tag = "invalid_signature" },
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.edit = func(p release.Profile, r *agent.Report, err error) (*agent.Report, error) {
				if p == release.Debug {
					change(&r.Visits[0])
				}
				return r, err
			}
			requireFailures(t, w.run.Execute(t.Context()).Checks.Results(), map[string]string{isolationCheck: reason})
		})
	}
}

// Nor is it the service's verdict that it cannot decide: nothing was found wrong.
func TestAServiceThatCannotDecideFailsNoGuardrail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.edit = func(p release.Profile, r *agent.Report, err error) (*agent.Report, error) {
		if p == release.Debug {
			r.Visits[0].Refusal.Status, r.Visits[0].Refusal.Tag = 503, wire.VerificationUnavailable
			r.Visits[0].ExitCode = fault.General
		}
		return r, err
	}
	results := w.run.Execute(t.Context()).Checks.Results()
	requireFailures(t, results, map[string]string{isolationCheck: "503 " + wire.VerificationUnavailable})
	require.Equal(t, fault.General, notPassed(results)[isolationCheck].Code)
}

// Each wait for a node is bounded.
func TestANodeThatNeverAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run.Nodes = silent{w}
	const never = "no report within its deadline"
	requireFailures(t, w.run.Execute(t.Context()).Checks.Results(),
		map[string]string{deployedCheck: never, bootedCheck: never, answersCheck: never,
			nodeCheck: never, attestationCheck: never, keyCheck: never})
}

type silent struct{ *world }

func (s silent) Boot(ctx context.Context, published *measurement.Published, p release.Profile,
	m agent.Mission) (*agent.Report, error) {
	if p != release.LockedReadOnly {
		return s.world.Boot(ctx, published, p, m)
	}
	if _, bounded := ctx.Deadline(); !bounded {
		return nil, errors.New("this would wait for ever")
	}
	return nil, errors.New("no report within its deadline")
}

// A machine that stays is said under clean-up; what it reported counts.
func TestANodeThatIsLeftBehind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.edit = func(_ release.Profile, r *agent.Report, err error) (*agent.Report, error) {
		return r, errors.Join(err, fmt.Errorf("vm-1: %w", agent.ErrLeft))
	}
	results := w.run.Execute(t.Context()).Checks.Results()
	requireFailures(t, results,
		map[string]string{cleanupCheck: "node locked-read-only: vm-1: the node's machine is left behind"})
	require.Contains(t, results[len(results)-1].Got, "2 not deleted")
	require.Equal(t, fault.General, fault.CodeOf(results.Err()))
}

// Each node is booted once, whatever it is needed for.
func TestEachNodeIsBootedOnce(t *testing.T) {
	t.Parallel()
	w := compatible(t)
	var mu = &w.mu
	var booted []string
	w.edit = func(p release.Profile, r *agent.Report, err error) (*agent.Report, error) {
		mu.Lock()
		defer mu.Unlock()
		var visited []string
		for _, v := range r.Visits {
			visited = append(visited, v.Name)
		}
		slices.Sort(visited)
		booted = append(booted, fmt.Sprintf("%s: %s", p, strings.Join(visited, ", ")))
		return r, err
	}
	require.NoError(t, w.run.Execute(t.Context()).Checks.Results().Strict().Err())
	slices.Sort(booted)
	require.Equal(t, []string{
		"debug: mero-kms-1-2-0-locked-read-only-run1",
		"locked-read-only: mero-kms-1-1-0-locked-read-only-run1, mero-kms-1-2-0-locked-read-only-run1, " +
			"mero-kms-1-2-0-locked-read-only-stale-run1",
		"locked-read-only: mero-kms-1-2-0-locked-read-only-run1, mero-kms-1-2-0-locked-read-only-stale-run1",
	}, booted)
}

// requote replaces a report's quote by one of the machine over the same report data.
func requote(m *inprocess.Machine, r *agent.Report) error {
	nonce, err := agent.ParseNonce(r.Nonce)
	if err != nil {
		return err
	}
	r.Quote, err = m.TD.Quote(4, wire.NodeReportData(nonce, r.PeerID))
	return err
}

package e2e_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/provider/dstack"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/e2e"
)

const (
	locked      = "locked-read-only"
	asPublished = "guardrail D, measurement consistency: "

	deployedCheck = "mero-tee-node E2E, step 1, deploy node: node " + locked + " is deployed from its released image"
	bootedCheck   = "mero-tee-node E2E, step 2, boot verification: node " + locked +
		" proves its boot by its quote and event log"
	answersCheck = "mero-tee-node E2E, step 2, boot verification: node " + locked +
		" answers through traefik: merod is alive"
	attestationCheck = "mero-tee-node E2E, step 3, KMS attestation: node " + locked +
		" verifies the released service by POST /attest"
	keyCheck = "mero-tee-node E2E, step 4, key release: node " + locked +
		" gets its own key, twice the same, from the service with its released policy"
	cleanupCheck = "mero-tee-node E2E, step 5, cleanup: nothing that the run made is left at the providers"

	pairCheck = "guardrail A, cross-version: service " + locked +
		" of mero-kms-v1.2.0 with its released policy gives a node of mero-tee-v1.2.0 its key"
	isolationCheck = "guardrail B, profile isolation: service " + locked +
		" refuses a node debug with 403 policy_violation"
	newNode = "guardrail C, stale policy: node " + locked +
		" of mero-tee-v1.2.0 is refused with 403 policy_violation under "
	onceUpdated    = ", and gets its key once the policy is updated"
	staleCheck     = newNode + staleTitle + onceUpdated
	composeCheck   = asPublished + "service " + locked + " is stored by the provider as the released compose file"
	attestCheck    = asPublished + "service " + locked + " attests the published registers and compose hash"
	eventsCheck    = asPublished + "service " + locked + " booted through the predicted events"
	debugNodeCheck = asPublished + "node debug shows the published registers"
	nodeCheck      = asPublished + "node " + locked + " shows the published registers"

	staleTitle = "a policy made stale on purpose (another MRTD)"
)

func allChecks() []string {
	return []string{deployedCheck, bootedCheck, answersCheck, attestationCheck, keyCheck, pairCheck, isolationCheck,
		staleCheck, composeCheck, attestCheck, eventsCheck, debugNodeCheck, nodeCheck,
		serviceAppraisal, staleAppraisal, nodeAppraisal, debugAppraisal, cleanupCheck}
}

func names(rs check.Results) []string {
	out := make([]string, len(rs))
	for i, r := range rs {
		out[i] = r.Name
	}
	return out
}

// notPassed maps the checks that should have passed to their results.
func notPassed(rs check.Results) map[string]check.Result {
	out := map[string]check.Result{}
	for _, r := range rs {
		if r.Status != check.Passed && r.Status != check.Inapplicable {
			out[r.Name] = r
		}
	}
	return out
}

// keyless: a node that does not get its key in step 4 fails guardrail A with it, and C after the update.
func keyless(fails map[string]string) {
	if reason, there := fails[keyCheck]; there {
		fails[pairCheck] = reason
		if fails[staleCheck] == "" {
			fails[staleCheck] = reason
		}
	}
}

func TestAReleaseThatWorks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	report := w.run.Execute(t.Context())
	require.NoError(t, report.Checks.Results().Strict().Err())
	require.Equal(t, allChecks(), names(report.Checks.Results()))
	require.Equal(t, "mero-kms-v1.2.0", report.Tag.String())
	require.Equal(t, "mero-tee-v1.2.0", report.Node.String())
	require.Len(t, report.Observed, 3)
	service, debug := report.Observed[0], report.Observed[2]
	require.Equal(t, w.run.Release.KMS.Profiles[release.LockedReadOnly].MRTD, service.Registers.MRTD)
	require.False(t, service.Registers.RTMR3.IsZero())
	require.Equal(t, release.Debug, debug.Profile)
	require.Equal(t, tdx.ProfileRTMR3("debug"), debug.Registers.RTMR3)
	require.Equal(t, tdx.UpToDate, debug.TCB)
}

func TestEveryProfile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run.Profiles = release.Profiles()
	report := w.run.Execute(t.Context())
	require.NoError(t, report.Checks.Results().Strict().Err())
	require.Len(t, report.Checks, 5*3+3+1+1+3*3+3+7+1)
	require.Len(t, report.Observed, 6)
}

// Each fault makes exactly the checks fail that it concerns; all are reported, and everything is deleted.
func TestReleasesThatDoNotWork(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		damage func(w *world)
		fails  map[string]string // check to a part of its reason, Expected or Got
		code   fault.Code
	}{
		"the service runs on other firmware": {func(w *world) { w.firmware = "dev cluster" },
			map[string]string{attestCheck: "the key service's registers", eventsCheck: "registers",
				attestationCheck: "registers", keyCheck: "registers", isolationCheck: "registers"}, fault.Verification},
		"the service's machine is of no listed status": {func(w *world) {
			w.run.HostTCB.AllowedTCBStatus = []string{"SWHardeningNeeded"}
		},
			map[string]string{attestCheck: "TCB status", eventsCheck: "TCB", attestationCheck: "TCB", keyCheck: "TCB",
				isolationCheck: "TCB"}, fault.Verification},
		"an event is missing": {func(w *world) {
			w.events = func(e []measurement.Event) []measurement.Event { return slices.Delete(e, 4, 5) }
		}, map[string]string{eventsCheck: "key-provider"}, fault.Verification},
		"events are out of order": {func(w *world) {
			w.events = func(e []measurement.Event) []measurement.Event { e[0], e[1] = e[1], e[0]; return e }
		}, map[string]string{eventsCheck: "compose-hash"}, fault.Verification},
		"an event says something else": {func(w *world) {
			w.events = func(e []measurement.Event) []measurement.Event { e[0].Payload = measurement.Hex("x"); return e }
		}, map[string]string{eventsCheck: "event app-id"}, fault.Verification},
		"an app id that the provider did not assign was measured": {func(w *world) {
			w.deploy = func(d *dstack.Deployment, err error) (*dstack.Deployment, error) { d.AppID = "00"; return d, err }
		}, map[string]string{eventsCheck: "not what the provider assigned"}, fault.Verification},
		"another OS image was measured": {func(w *world) {
			w.events = func(e []measurement.Event) []measurement.Event { e[3].Payload = make(measurement.Hex, 32); return e }
		}, map[string]string{eventsCheck: "event os-image-hash"}, fault.Verification},
		"another compose file was measured": {func(w *world) {
			w.events = func(e []measurement.Event) []measurement.Event { e[1].Payload = make(measurement.Hex, 32); return e }
		}, map[string]string{attestCheck: "compose hash", eventsCheck: "compose hash", attestationCheck: "compose hash",
			keyCheck: "compose hash", isolationCheck: "compose hash"}, fault.Verification},
		"the provider tells another compose hash": {func(w *world) {
			w.deploy = func(d *dstack.Deployment, err error) (*dstack.Deployment, error) { d.ComposeHash = "00"; return d, err }
		}, map[string]string{composeCheck: "the provider"}, fault.Verification},
		"another file than compose-hash.txt has, and a provider that denies it": {func(w *world) {
			said := w.run.Release.ComposeHash[release.LockedReadOnly].Hex()
			w.policies["moved/"+locked] = w.policies[policyName(version, release.LockedReadOnly)]
			w.run.Release.AppCompose[release.LockedReadOnly] = bytes.Replace(w.run.Release.AppCompose[release.LockedReadOnly],
				[]byte("policies/1.2.0/"), []byte("policies/moved/"), 1)
			w.deploy = func(d *dstack.Deployment, err error) (*dstack.Deployment, error) { d.ComposeHash = said; return d, err }
		}, map[string]string{composeCheck: "app-compose-locked-read-only.json", attestCheck: "compose hash",
			eventsCheck: "compose hash", attestationCheck: "compose hash", keyCheck: "compose hash",
			isolationCheck: "compose hash"}, fault.Verification},
		"published-mrtds.json tells another compose hash": {func(w *world) {
			p := w.run.Release.KMS.Profiles[release.LockedReadOnly]
			p.Image.ComposeHash = digest.Digest{1}
			w.run.Release.KMS.Profiles[release.LockedReadOnly] = p
		}, map[string]string{composeCheck: release.MeasurementsAsset}, fault.Verification},
		"the policy lets debug nodes in": {func(w *world) {
			p := w.policies[policyName(version, release.LockedReadOnly)]
			m := w.policies[policyName(version, release.Debug)].Measurements
			p.Measurements = m
			p.AllowedRTMR1, p.AllowedRTMR2, p.AllowedRTMR3 = nil, nil, nil
			for _, m := range m {
				p.AllowedRTMR1, p.AllowedRTMR2 = append(p.AllowedRTMR1, m.RTMR1), append(p.AllowedRTMR2, m.RTMR2)
			}
			p.AllowedRTMR3 = append(p.AllowedRTMR3, m[0].RTMR3)
		}, map[string]string{isolationCheck: "the key was released", keyCheck: "policy_violation"}, fault.Verification},
		"keys change": {func(w *world) { w.keyOf = counter() },
			map[string]string{keyCheck: "two different keys"}, fault.Verification},
		"keys are shared": {func(w *world) { w.keyOf = func(string, string) string { return "one" } },
			map[string]string{keyCheck: "two peers got the same key"}, fault.Verification},
		"the node shows other registers": {func(w *world) {
			p := w.run.Release.Node.Profiles[release.LockedReadOnly]
			p.RTMR1, p.MRTD = tdx.Register{1}, tdx.Register{2}
			w.run.Release.Node.Profiles[release.LockedReadOnly] = p
		}, map[string]string{nodeCheck: "rtmr1 0100"}, fault.Verification},
		"the node does not boot": {func(w *world) { w.noCapacity(release.Debug) },
			map[string]string{debugNodeCheck: "no capacity", isolationCheck: "no capacity"}, fault.General},
		"a deployment fails": {func(w *world) { w.run.Release.AppCompose[release.LockedReadOnly] = []byte("{}") },
			map[string]string{composeCheck: "app-compose", attestCheck: "app-compose", eventsCheck: "app-compose",
				attestationCheck: "app-compose", keyCheck: "app-compose", isolationCheck: "app-compose"}, fault.Verification},
		"a deployment stays": {func(w *world) { w.deleteError = errors.New("provider is down") },
			map[string]string{cleanupCheck: "provider is down"}, fault.General},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tc.damage(w)
			report := w.run.Execute(t.Context())
			require.Equal(t, allChecks(), names(report.Checks.Results()), "a check that could not be made has a result too")
			got := notPassed(report.Checks.Results())
			maps.DeleteFunc(got, isAppraisal) // a machine without a verified quote fails there too: see TestNoQuoteToAppraise
			keyless(tc.fails)
			for name, reason := range tc.fails {
				r := got[name]
				require.Equal(t, check.Failed, r.Status, name)
				require.Contains(t, r.Reason+" "+r.Expected+" "+r.Got, reason, name)
			}
			require.Len(t, got, len(tc.fails), "%v", got)
			require.Equal(t, tc.code, fault.CodeOf(report.Checks.Results().Err()))
		})
	}
}

// "All MRTD/RTMR values are accepted": isolation cannot hold, which is said and which a stable release refuses.
func TestPolicyNotReady(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run.Release.NotReady = true
	report := w.run.Execute(t.Context())
	require.NoError(t, report.Checks.Results().Err())
	require.Equal(t, check.Skipped, notPassed(report.Checks.Results())[isolationCheck].Status)
	require.Equal(t, check.Inapplicable, report.Checks[7].Result.Status)
	require.Equal(t, e2e.StalePolicy, report.Checks[7].Part)
	require.Contains(t, report.Checks[7].Result.Reason, "policy_not_ready")
	require.Error(t, report.Checks.Results().Strict().Err())
}

// A refusal for another reason than the policy is no proof of isolation.
func TestRefusedForAnotherReason(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.host.HTTP = &http.Client{Transport: unsigned{w.host.HTTP.Transport}}
	results := w.run.Execute(t.Context()).Checks.Results()
	got := notPassed(results)
	require.Len(t, got, 4)
	for _, name := range []string{isolationCheck, keyCheck, pairCheck, staleCheck} {
		require.Equal(t, "401 invalid_signature", got[name].Got)
	}
	require.Equal(t, fault.Verification, fault.CodeOf(results.Err()))
}

// unsigned spoils the signature of every key request on its way.
type unsigned struct{ http.RoundTripper }

func (u unsigned) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path != "/get-key" {
		return u.RoundTripper.RoundTrip(r)
	}
	var request wire.KeyRequest
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		return nil, err
	}
	request.SignatureB64 = base64.StdEncoding.EncodeToString(make([]byte, 64))
	body, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	spoiled := r.Clone(r.Context())
	spoiled.Body, spoiled.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return u.RoundTripper.RoundTrip(spoiled)
}

func TestCancelledRunDeletesWhatItDeployed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.misses.Store(1000) // so that the run waits
	ctx, cancel := context.WithCancel(t.Context())
	w.deploy = func(d *dstack.Deployment, err error) (*dstack.Deployment, error) {
		if len(w.deployed) == 2 { // both: whoever is deployed after the end is not deployed at all
			cancel()
		}
		return d, err
	}
	report := w.run.Execute(ctx)
	got := notPassed(report.Checks.Results())
	require.Contains(t, got[attestCheck].Reason+got[attestCheck].Expected, "policyReady")
	require.NotContains(t, got, cleanupCheck)
	require.Error(t, report.Checks.Results().Err())
}

// The policy comes after "alive": the run waits for it and does not take 503 for an answer.
func TestWaitsForThePolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.misses.Store(1)
	require.NoError(t, w.run.Execute(t.Context()).Checks.Results().Err())
	require.Negative(t, w.misses.Load(), "the policy was asked for again")
}

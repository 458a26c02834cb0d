package steps

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/kms/compose"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	local "github.com/calimero-network/mero-tee/internal/rehearsal/github"
	"github.com/calimero-network/mero-tee/internal/rehearsal/network"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
	"github.com/calimero-network/mero-tee/internal/verify/e2e"
	"github.com/calimero-network/mero-tee/policies"
)

const (
	kmsName, nodeName = "mero-kms-v1.0.0", "mero-tee-v1.2.0"
	olderName         = "mero-tee-v1.1.0"
)

// trying is a trial of a KMS release whose policies admit some node releases, over a local GitHub.
type trying struct {
	*Trial
	released *e2e.Release
	node     policies.Evidence
	fetch    *http.Client
}

func newTrial(t *testing.T, permissions map[string]string, status policies.Status, admitted ...string) *trying {
	t.Helper()
	dir := t.TempDir()
	server, err := local.New(local.Options{Dir: filepath.Join(dir, "github"), Repository: config.DefaultRepository,
		Token: "secret", Prompt: true})
	require.NoError(t, err)
	require.NoError(t, server.Push("refs/heads/main", strings.Repeat("a", 40), map[string][]byte{"a": []byte("a")}))
	n := network.New()
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	for _, host := range local.Hosts() {
		require.NoError(t, n.Handle(host, server))
	}
	token, err := server.JobToken(permissions)
	require.NoError(t, err)
	client, err := github.New(github.Options{Repository: config.DefaultRepository, Token: token, Transport: n.Transport()})
	require.NoError(t, err)
	env := &environment.Environment{Settings: environment.Settings{Transport: n.Transport(),
		Config: &config.Config{Profile: release.LockedReadOnly, Repository: config.DefaultRepository}, TDXRoot: [32]byte{1},
		Trust: func(context.Context) (root.TrustedMaterial, error) { return nil, nil }}}
	out := &trying{fetch: &http.Client{Transport: n.Transport()}, Trial: &Trial{Env: env, GitHub: client,
		KMS: filepath.Join(dir, kmsName), Node: filepath.Join(dir, nodeName), Name: "run-1",
		Published: NewPublished(env, client, filepath.Join(dir, "audited"))}}
	published, err := os.ReadFile("../../attestation/measurement/testdata/node.json")
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(out.Node, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(out.Node, release.MeasurementsAsset), published, 0o600))
	out.node, err = policies.EvidenceOf(published)
	require.NoError(t, err)
	out.release(t, status, admitted)
	return out
}

// release writes the policies of the KMS release, and reads it as it was downloaded.
func (w *trying) release(t *testing.T, status policies.Status, admitted []string) {
	t.Helper()
	require.NoError(t, os.Mkdir(w.KMS, 0o755))
	w.released = &e2e.Release{AppCompose: map[release.Profile][]byte{}, NotReady: status == policies.NotReady,
		KMS: &measurement.Published{Tag: tag(t, kmsName)}, Node: &measurement.Published{Tag: tag(t, nodeName)}}
	kms := release.Version{Major: 1}
	if status == policies.NotReady {
		kms.Candidate = 1
	}
	for _, p := range release.Profiles() {
		policy := &policies.Policy{SchemaVersion: "1", KMSVersion: kms, Profile: p, Status: status,
			AllowedTCBStatus: []string{"UpToDate"}, Measurements: []policies.Measurement{}}
		for i, name := range admitted {
			r := w.node.Registers[p]
			if name != nodeName {
				r.RTMR1 = tdx.Register{byte(i + 1)}
			}
			policy.Measurements = append(policy.Measurements, policies.Measurement{NodeRelease: tag(t, name),
				Evidence: "sha256:" + strings.Repeat("0", 64), Registers: r})
		}
		flat(policy)
		data, err := policy.Encode()
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(w.KMS, release.PolicyAsset(p)), data, 0o600))
		w.released.AppCompose[p], err = compose.AppCompose(p, []byte(`{"services":{"mero-kms":{"environment":`+
			`{"MERO_KMS_POLICY_SHA256":"0","MERO_KMS_POLICY_SIGNATURE":"required",`+
			`"MERO_KMS_POLICY_URL":"https://github.com/x"}}}}`))
		require.NoError(t, err)
	}
}

// flat makes the lists agree with the tuples.
func flat(p *policies.Policy) {
	seen := map[tdx.Register]bool{}
	lists := []*[]tdx.Register{&p.AllowedMRTD, &p.AllowedRTMR0, &p.AllowedRTMR1, &p.AllowedRTMR2, &p.AllowedRTMR3}
	for i, list := range lists {
		*list = []tdx.Register{}
		clear(seen)
		for _, m := range p.Measurements {
			if v := m.Values()[i]; !seen[v] {
				seen[v] = true
				*list = append(*list, v)
			}
		}
	}
}

// named is the policy that an app-compose file names, as a deployed service would fetch it.
func (w *trying) named(t *testing.T, app []byte) *policies.Policy {
	t.Helper()
	parsed, err := compose.ParseApp(app)
	require.NoError(t, err)
	services, err := parsed.Services()
	require.NoError(t, err)
	environment := services["mero-kms"].Environment
	require.Equal(t, "none", environment["MERO_KMS_POLICY_SIGNATURE"], "no release signed it")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, environment["MERO_KMS_POLICY_URL"], nil)
	require.NoError(t, err)
	req.Header.Set("User-Agent", "test")
	resp, err := w.fetch.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	var p policies.Policy
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&p))
	return &p
}

func (w *trying) admits(p *policies.Policy) error {
	return p.Admits(w.node.Registers[p.Profile], tcb.Platform{Status: tdx.UpToDate}, time.Now())
}

var writes = map[string]string{"contents": "write"}

// What is unchanged, and which policy is stale, by what the released policy admits.
func TestWhichPoliciesAreTried(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status   policies.Status
		admitted []string
		updated  int                        // profiles with the policy that policy:promote would make
		stale    map[release.Profile]string // their policies
		register string
	}{
		"a node release, and a key service that knows the one before": {"", []string{olderName}, 3,
			map[release.Profile]string{release.Debug: "", release.DebugReadOnly: "", release.LockedReadOnly: ""}, ""},
		"a KMS release, from the second node release on": {"", []string{olderName, nodeName}, 0,
			map[release.Profile]string{release.LockedReadOnly: "an older policy, without " + nodeName}, ""},
		"a first release": {"", []string{nodeName}, 0,
			map[release.Profile]string{release.LockedReadOnly: "a policy made stale on purpose (another MRTD)"}, "mrtd"},
		"a candidate that enforces nothing": {policies.NotReady, []string{olderName}, 0, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTrial(t, writes, tc.status, tc.admitted...)
			var err error
			w.released.Updated, err = w.updated(t.Context(), w.KMS, w.released)
			require.NoError(t, err)
			require.Len(t, w.released.Updated, tc.updated)
			for p, app := range w.released.Updated {
				policy := w.named(t, app)
				require.NoError(t, w.admits(policy), "the promoted policy of %s", p)
				require.Len(t, policy.Measurements, len(tc.admitted)+1, "nothing else was taken out")
			}
			stale := w.stale(t.Context(), w.released, nil)
			require.Len(t, stale, len(tc.stale))
			for _, c := range stale {
				require.NoError(t, c.Err)
				require.Equal(t, tc.stale[c.Profile], c.Policy)
				require.Equal(t, tc.register, c.Register)
				require.Nil(t, c.Admitted, "no node release is public")
				policy, err := ReadPolicy(w.KMS, c.Profile)
				require.NoError(t, err)
				if c.AppCompose != nil {
					policy = w.named(t, c.AppCompose)
				}
				err = w.admits(policy)
				require.Error(t, err, "it is stale")
				require.True(t, strings.HasPrefix(err.Error(), tc.register), "%v", err)
			}
		})
	}
}

// A policy that cannot be shared: step 4 needs the updated one, guardrail C says why it has none.
func TestAPolicyThatCannotBeShared(t *testing.T) {
	t.Parallel()
	w := newTrial(t, map[string]string{"contents": "read"}, "", olderName)
	_, err := w.updated(t.Context(), w.KMS, w.released)
	require.Error(t, err)
	for _, admitted := range [][]string{{nodeName}, {olderName, nodeName}} {
		w = newTrial(t, map[string]string{"contents": "read"}, "", admitted...)
		stale := w.stale(t.Context(), w.released, nil)
		require.Len(t, stale, 1)
		require.ErrorContains(t, stale[0].Err, "Resource not accessible by integration")
	}
}

// What guardrail A lacks is a result of guardrail A.
func TestPairsThatCannotBeTried(t *testing.T) {
	t.Parallel()
	w := newTrial(t, writes, "", olderName, nodeName)
	w.Catalog = declared(t, [2]string{"1.0.0", "1.2.0"}, [2]string{"1.0.0", "1.1.0"}, [2]string{"1.0.0", "0.9.0"})
	rel, err := w.GitHub.CreateDraft(t.Context(), github.Draft{Tag: olderName, Title: "older", Notes: "notes"})
	require.NoError(t, err)
	public := false
	_, err = w.GitHub.Update(t.Context(), rel.ID, github.Patch{Draft: &public, MakeLatest: "false"})
	require.NoError(t, err)
	pairs, known := w.compatible(t.Context(), w.released)
	require.Empty(t, pairs)
	got := map[string]check.Status{}
	for _, c := range known {
		require.Equal(t, e2e.CrossVersion, c.Part)
		require.ElementsMatch(t, release.Profiles(), c.Profiles)
		got[c.Result.Name] = c.Result.Status
	}
	require.Equal(t, map[string]check.Status{
		"guardrail A, cross-version: mero-kms-v1.0.0 works with mero-tee-v1.1.0": check.Failed, // it does not pass its audit
		"guardrail A, cross-version: mero-kms-v1.0.0 works with mero-tee-v0.9.0": check.Inapplicable,
	}, got, fmt.Sprint(known))
	w.Catalog = nil
	pairs, known = w.compatible(t.Context(), w.released)
	require.Empty(t, pairs)
	require.Empty(t, known)
}

// The older node that shows that it is the policy which refuses is one that is tried anyway, if there is one.
func TestWhomAnOlderPolicyAdmits(t *testing.T) {
	t.Parallel()
	w := newTrial(t, writes, "", olderName, nodeName)
	older := &measurement.Published{Tag: tag(t, olderName)}
	other := &measurement.Published{Tag: tag(t, "mero-tee-v0.9.0")}
	another := &e2e.Release{KMS: &measurement.Published{Tag: tag(t, "mero-kms-v0.9.0")}}
	locked, debug := []release.Profile{release.LockedReadOnly}, []release.Profile{release.Debug}
	for name, tc := range map[string]struct {
		pairs []e2e.Pair
		want  *measurement.Published
	}{
		"tried with this service":            {[]e2e.Pair{{KMS: w.released, Node: older, Profiles: locked}}, older},
		"tried in another profile":           {[]e2e.Pair{{KMS: w.released, Node: older, Profiles: debug}}, nil},
		"tried with another service":         {[]e2e.Pair{{KMS: another, Node: older, Profiles: locked}}, nil},
		"one that the policy does not admit": {[]e2e.Pair{{KMS: w.released, Node: other, Profiles: locked}}, nil},
	} {
		stale := w.stale(t.Context(), w.released, tc.pairs)
		require.Len(t, stale, 1, name)
		require.NoError(t, stale[0].Err, name)
		require.Equal(t, tc.want, stale[0].Admitted, name)
	}
}

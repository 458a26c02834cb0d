package cli

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/node/clientconfig"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/migration"
)

const service = "https://kms.example"

// served is a running service of a release, and what it says of itself.
func served(t *testing.T) (*running, *operator, migration.Release, *wire.Health) {
	t.Helper()
	hash := sha256.Sum256([]byte("app-compose"))
	s, o, published := runs(t, hash)
	tag := release.Tag{Family: release.KMS, Version: release.Version{Major: 1, Minor: 2}}
	policy := digest.Of([]byte("policy"))
	h := &wire.Health{Status: "alive", Version: "1.2.0", Profile: "debug", PolicyReady: true, PolicySHA256: policy.Hex(),
		PolicySignedBy: "https://github.com/o/r/.github/workflows/release-kms-phala.yaml@refs/tags/mero-kms-v1.2.0",
		TDXRootSHA256:  fmt.Sprintf("%x", o.env.TDXRoot)}
	s.health = h
	return s, o, migration.Release{Tag: tag, Published: published, PolicySHA256: policy,
		HostTCB: tcb.List{AllowedTCBStatus: []string{"UpToDate"}}}, h
}

func TestARunningServiceIsJudgedByItsRelease(t *testing.T) {
	t.Parallel()
	_, o, kms, _ := served(t)
	results, err := o.service(t.Context(), service, kms, release.Debug)
	require.NoError(t, err)
	require.NoError(t, results.Err())
	require.Equal(t, 13, results.Count(check.Passed), "%v", results)

	for name, tc := range map[string]struct {
		change func(*running, *migration.Release, *wire.Health)
		check  string
		code   fault.Code
	}{
		"another compose file": {func(_ *running, r *migration.Release, _ *wire.Health) {
			r.Published.Image.ComposeHash = [32]byte{1}
		}, "compose hash", fault.Verification},
		"another register": {func(_ *running, r *migration.Release, _ *wire.Health) { r.Published.RTMR1[0] ^= 1 },
			"registers MRTD, RTMR0, RTMR1 and RTMR2", fault.Verification},
		"another version": {func(_ *running, _ *migration.Release, h *wire.Health) { h.Version = "1.1.0" }, "version",
			fault.Verification},
		"another profile": {func(_ *running, _ *migration.Release, h *wire.Health) { h.Profile = "locked-read-only" },
			"profile", fault.Verification},
		"another policy": {func(_ *running, _ *migration.Release, h *wire.Health) { h.PolicySHA256 = "" },
			"policy, by its digest", fault.Verification},
		"a policy that nobody signed": {func(_ *running, _ *migration.Release, h *wire.Health) { h.PolicySignedBy = "" },
			"signer of the policy", fault.Verification},
		"another root": {func(_ *running, _ *migration.Release, h *wire.Health) { h.TDXRootSHA256 = "00" },
			"root of the nodes' quotes", fault.Verification},
		"no policy yet": {func(_ *running, _ *migration.Release, h *wire.Health) {
			h.PolicyReady, h.PolicyReason = false, "it is being fetched"
		}, "policy is ready: keys are released", fault.General},
		"no health": {func(s *running, _ *migration.Release, _ *wire.Health) { s.health = "alive" },
			"answer of /health", fault.General},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, o, kms, h := served(t)
			tc.change(s, &kms, h)
			results, err := o.service(t.Context(), service, kms, release.Debug)
			require.NoError(t, err)
			var wrong []string
			for _, r := range results {
				if r.Status == check.Failed {
					wrong = append(wrong, r.Name)
				}
			}
			require.Equal(t, []string{tc.check}, wrong)
			require.Equal(t, tc.code, fault.CodeOf(results.Err()))
		})
	}
}

// A client's configuration knows statuses alone; the release's own list says of which machines, too.
func TestAWaiverOfAReleaseCountsForTheMachinesThatItNames(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fmspc string
		code  fault.Code
	}{"of every family": {"", fault.Success}, "of another family": {"00906ed50000", fault.Verification}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, o, kms, _ := served(t)
			s.pcs.(*tdxsim.PCS).Change(func(k *tdxsim.Faults) { k.Platform = tdx.OutOfDate })
			kms.HostTCB.TCBWaivers = []tcb.Waiver{{Status: "OutOfDate", FMSPC: tc.fmspc, Reason: "until it is patched",
				Until: "9999-12-31"}}
			results, err := o.service(t.Context(), service, kms, release.Debug)
			require.NoError(t, err)
			require.Equal(t, tc.code, fault.CodeOf(results.Err()), "%v", results)
			c, err := clientconfig.New(service, kms.Published, kms.HostTCB.Today(time.Now()))
			require.NoError(t, err)
			require.Equal(t, tc.code, fault.CodeOf(o.pin(t.Context(), c, kms, true)))
			require.Len(t, c.Attestation.AllowedRTMR3, map[fault.Code]int{fault.Success: 1}[tc.code])
		})
	}
}

// An address that is no key service's: nothing is called bad that could not be looked at.
func TestAddressesThatAreNoKeyServices(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		serve http.HandlerFunc
		says  string
	}{
		"leads elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://elsewhere.example/", http.StatusTemporaryRedirect)
		}, "it leads to https://elsewhere.example/"},
		"answers without end": {func(w http.ResponseWriter, _ *http.Request) {
			for _, err := w.Write(make([]byte, 1<<16)); err == nil; _, err = w.Write(make([]byte, 1<<16)) {
			}
		}, "the answer is larger than any of a key service"},
		"is another's": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
			"not the JSON expected"},
		"knows no such path": {http.NotFound, "answered 404"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, o, kms, _ := served(t)
			web := httptest.NewServer(tc.serve)
			t.Cleanup(web.Close)
			o.env.Transport = to(web)
			results, err := o.service(t.Context(), service, kms, release.Debug)
			require.NoError(t, err)
			require.Contains(t, results[0].Reason, tc.says)
			require.Equal(t, fault.General, fault.CodeOf(results.Err()))
			require.Zero(t, results.Count(check.Passed))
		})
	}
	_, o, kms, _ := served(t)
	ctx, cancel := context.WithCancel(t.Context())
	o.env.Transport = hangs(cancel)
	results, err := o.service(ctx, service, kms, release.Debug)
	require.NoError(t, err)
	require.Contains(t, results[0].Reason, "no whole answer within 1m0s")
	for _, url := range []string{"kms.example", "http://kms.example", "https://user:secret@kms.example", ""} {
		_, err := o.service(t.Context(), url, kms, release.Debug)
		require.Equal(t, fault.Usage, fault.CodeOf(err), url)
		require.NotContains(t, fmt.Sprint(err), "secret")
	}
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// to leads every request to a server on loopback.
func to(web *httptest.Server) http.RoundTripper {
	return transport(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.URL.Scheme, r.URL.Host = "http", strings.TrimPrefix(web.URL, "http://")
		return http.DefaultTransport.RoundTrip(r)
	})
}

// hangs says what a server that is silent until the deadline makes of a request.
func hangs(cancel func()) http.RoundTripper {
	return transport(func(*http.Request) (*http.Response, error) {
		cancel()
		return nil, context.DeadlineExceeded
	})
}

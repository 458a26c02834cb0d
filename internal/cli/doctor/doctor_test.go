package doctor_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/artifact/trust"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/cli/doctor"
	"github.com/calimero-network/mero-tee/internal/node/build"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/kmsrelease"
	"github.com/calimero-network/mero-tee/internal/pipeline/noderelease"
	"github.com/calimero-network/mero-tee/internal/provider/gce"
	"github.com/calimero-network/mero-tee/internal/rehearsal"
	cloud "github.com/calimero-network/mero-tee/internal/rehearsal/gce"
	appraiser "github.com/calimero-network/mero-tee/internal/rehearsal/ita"
	"github.com/calimero-network/mero-tee/internal/rehearsal/sigstore"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

func TestWhatProductionPrints(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	results := doctor.Examine(t.Context(), w.env, doctor.Whole(release.Families()...))
	said := w.printed(t, results)
	require.Zero(t, failures(results, "go", "git", "ansible-playbook", "ssh"), said)
	for _, line := range []string{
		"[PASS] GitHub token: may push; scopes repo, workflow\n",
		"[PASS] environment release-auditor: requires reviewers, of others\n",
		"[PASS] rules of main: require what a release requires\n",
		"[PASS] registry push: ghcr.io/calimero-network/mero-kms\n",
		"[INFO] VMs on this machine: not applicable: Google's are used\n",
		"[PASS] Google Cloud permissions: all 30 in mero-tests\n",
		"[PASS] base image: ubuntu-2604-resolute-amd64-v20260918, the newest of its family\n",
		"[PASS] Intel Trust Authority: https://api.trustauthority.intel.com takes the key\n",
		"[PASS] dstack provider: https://cloud-api.phala.com/api/v1 takes the key\n",
		"[PASS] OS image of dstack: dstack-0.5.9 is offered\n",
		"[PASS] signing identity: the job may ask for one\n",
		"[PASS] Sigstore's TUF repository: root version 1, until 2027-05-17; its word of today holds until 2026-11-08\n",
		"[PASS] trusted root: valid now are 1 of 1 certificate authorities, 1 of 2 signature logs, 1 of 1 certificate " +
			"logs, 0 of 0 timestamp authorities; the newest since 2025-03-01\n",
		"[PASS] the key service's trusted root: Sigstore's of today\n",
		"[PASS] go 1.",
	} {
		require.Contains(t, said, line)
	}
}

// failures are those that are not of programs that this machine may lack.
func failures(results check.Results, programs ...string) (n int) {
	for _, r := range results {
		if !r.OK() && !strings.Contains(strings.Join(programs, " "), r.Name) {
			n++
		}
	}
	return n
}

// Each probe fails when what it asks for does, and says what to do.
func TestEachProbeFires(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		probe string
		spoil func(w *world)
		want  []string
	}{
		"no GitHub token": {"GitHub", func(w *world) { w.env.GitHubToken = "" },
			[]string{"[FAIL] GitHub token: there is none\n       Expected: GITHUB_TOKEN\n       Got:      not set\n" +
				"       Hint:     a release wants contents: write"}},
		"another's GitHub token": {"GitHub", func(w *world) { w.env.GitHubToken = "gho_another-secret-0" },
			[]string{"[FAIL] GitHub token: github: repository calimero-network/mero-tee: HTTP 401: Bad credentials",
				"Hint:     the token is missing, expired"}},
		"no GitHub": {"GitHub", func(w *world) { w.answering("api.github.com", http.StatusTeapot) },
			[]string{"[FAIL] GitHub token: github: repository calimero-network/mero-tee",
				"Hint:     check that api.github.com is reached"}},
		"a reader's scopes": {"GitHub", func(w *world) { w.scoped("read:user, gist", true) },
			[]string{"[FAIL] GitHub token: its scopes do not do\n       Expected: repo, or public_repo for a public " +
				"repository\n       Got:      read:user, gist\n"}},
		"a fine-grained token that may only read": {"GitHub", func(w *world) { w.scoped("", false) },
			[]string{"[FAIL] GitHub token: it may not push\n       Expected: contents: write\n       Got:      read\n"}},
		"a fine-grained token": {"GitHub", func(w *world) { w.scoped("", true) },
			[]string{"[WARN] GitHub token: may push; whether it may also open pull requests"}},
		"a job's own token": {"GitHub", func(w *world) { w.env.GitHubToken = "ghs_0123456789secret"; w.scoped("", false) },
			[]string{"[WARN] GitHub token: valid; what a job's own token may do is in the workflow"}},
		"another's repository": {"GitHub", func(w *world) { w.env.Config.Repository = "someone/else" },
			[]string{"[FAIL] GitHub token: it does not reach someone/else\n"}},
		"no permission to push": {"registry", func(w *world) { w.env.RegistryAuth = authn.Anonymous },
			[]string{"[FAIL] registry push: the token may not push to ghcr.io/calimero-network/mero-kms\n",
				"Got:      status 403", "Hint:     set GHCR_TOKEN to a token with write:packages"}},
		"no registry": {"registry", func(w *world) { w.answering("ghcr.io", http.StatusNotFound) },
			[]string{"[FAIL] registry push: ghcr.io/calimero-network/mero-kms: ", "Hint:     check GHCR_REGISTRY"}},
		"a missing permission": {"Google Cloud", func(w *world) {
			w.cloud.SetFaults(cloud.Faults{Denied: []string{"compute.images.create", "compute.instances.create"}})
		}, []string{"[FAIL] Google Cloud permissions: credentials without compute.images.create, compute.instances.create\n",
			"Got:      2 are missing\n",
			"Hint:     gcloud projects add-iam-policy-binding mero-tests "}},
		"an API that is off": {"Google Cloud",
			func(w *world) { w.answering("cloudresourcemanager.googleapis.com", http.StatusForbidden) },
			[]string{"[FAIL] Google Cloud permissions: gce: asking for permissions in mero-tests",
				"Hint:     check GCP_SERVICE_ACCOUNT_KEY"}},
		"no credentials": {"Google Cloud", func(w *world) { w.key = []byte("{}") },
			[]string{"[FAIL] Google Cloud permissions: GCP_SERVICE_ACCOUNT_KEY: not of the type service_account\n",
				"gcloud iam service-accounts keys create"}},
		"a key that ITA does not know": {"Intel Trust Authority", func(w *world) { w.env.ITA.Key = "ita-another-secret" },
			[]string{"[FAIL] Intel Trust Authority: Intel Trust Authority refuses the key: status 401",
				"Hint:     set ITA_API_KEY to an attestation API key"}},
		"no ITA": {"Intel Trust Authority",
			func(w *world) { w.answering("api.trustauthority.intel.com", http.StatusNotFound) },
			[]string{"[FAIL] Intel Trust Authority: Intel Trust Authority refuses a nonce", "Hint:     check ITA_API_URL"}},
		"no ITA key": {"Intel Trust Authority", func(w *world) { w.env.ITA.Key = "" },
			[]string{"[WARN] Intel Trust Authority: skipped: ITA_API_KEY is not set; a stable release refuses"}},
		"a wrong ITA address": {"Intel Trust Authority", func(w *world) { w.env.ITA.URL = "https://ita.example/x" },
			[]string{"[FAIL] Intel Trust Authority: ITA_API_URL\n"}},
		"a key that dstack does not know": {"dstack", func(w *world) { w.env.DstackKey = "phak_another-secret" },
			[]string{"[FAIL] dstack provider: GET /api/v1/cvms/mero-doctor-asks: the provider answered 401: invalid API key\n",
				"Hint:     check PHALA_CLOUD_API_KEY"}},
		"an OS image that dstack does not offer": {"dstack",
			func(w *world) { w.env.PlatformFile = "testdata/platforms.json" },
			[]string{"[FAIL] OS image of dstack: the provider does not offer it\n       Expected: dstack-0.5.7\n" +
				"       Got:      dstack-0.5.11, dstack-0.5.9, dstack-0.5.8\n", "kms:observe"}},
		"no platforms file": {"dstack", func(w *world) { w.env.PlatformFile = "testdata/none.json" },
			[]string{"[FAIL] OS image of dstack", "no such file"}},
		"no dstack": {"dstack", func(w *world) { w.env.DstackURL = "" },
			[]string{"[FAIL] dstack provider: not known\n       Expected: PHALA_DSTACK_URL and PHALA_CLOUD_API_KEY\n"}},
		"another server at dstack's address": {"dstack",
			func(w *world) { w.answering("cloud-api.phala.com", http.StatusNotFound) },
			[]string{"[FAIL] dstack provider: the address is not its API's\n       Expected: a refusal without a key\n" +
				"       Got:      status 404\n"}},
		"a server that knows everything": {"dstack", func(w *world) { w.saying("cloud-api.phala.com", http.StatusOK, "{}") },
			[]string{"[FAIL] dstack provider: it knows a CVM that there is not\n"}},
		"dstack is down": {"dstack", func(w *world) { w.env.DstackURL = "https://gone.example" },
			[]string{"[FAIL] dstack provider: Get \"https://gone.example/cvms/mero-doctor-asks\"",
				"Hint:     check PHALA_DSTACK_URL, and that the provider is up"}},
		"a gateway that echoes": {"dstack", func(w *world) { w.echoing("cloud-api.phala.com") },
			[]string{
				"[FAIL] dstack provider: GET /api/v1/cvms/mero-doctor-asks: the provider answered 418: you sent [secret]\n"}},
		"a job without an identity": {"signing identity",
			func(w *world) { w.env.Config.TokenRequestURL, w.env.Config.Actions = "", true },
			[]string{"[FAIL] signing identity: this job has none\n", "Hint:     in the workflow: permissions: id-token: write"}},
		"no job": {"signing identity", func(w *world) { w.env.Config.TokenRequestURL = "" },
			[]string{"[WARN] signing identity: skipped: GitHub Actions gives it to the release workflow's job alone\n"}},
		"a root that has ended": {"trusted root",
			func(w *world) { w.trusting(&believed{ends: time.Now().Add(-time.Hour)}, nil) },
			[]string{"[FAIL] trusted root: it believes in no certificate authorities now\n",
				"Got:      0 of 1 certificate authorities, "}},
		"a root that ends": {"trusted root", func(w *world) { w.trusting(&believed{ends: time.Now().Add(time.Hour)}, nil) },
			[]string{"; the newest since 2025-03-01: all certificate authorities end within 30 days\n"}},
		"a TUF repository that is down": {"trusted root", func(w *world) { w.answering(sigstore.TUFHost, 503) },
			[]string{"[FAIL] Sigstore's TUF repository: Sigstore's TUF repository could not be asked: https://tuf-repo-cdn.",
				"Got:      no copy of an earlier one\n", "Hint:     check the network and ask again"}},
		"a TUF repository that nobody signs any more": {"trusted root",
			func(w *world) { w.now = today.Add(8 * 24 * time.Hour) },
			[]string{"[FAIL] Sigstore's TUF repository: Sigstore's TUF repository is not to be believed\n",
				"timestamp.json is expired\n", "Hint:     compare this machine's clock"}},
		"no root": {"trusted root", func(w *world) {
			w.trusting(&believed{}, &fault.Error{Message: "sigstore's public trusted root", Hint: "check the network"})
		}, []string{"[FAIL] trusted root: sigstore's public trusted root\n       Hint:     check the network\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			tc.spoil(w)
			said, results := w.ask(t, tc.probe, release.Families()...)
			for _, want := range tc.want {
				require.Contains(t, said, want)
			}
			for _, r := range results {
				require.True(t, r.OK() || r.Hint != "", "%s: every failure says what to do", r.Name)
			}
			if strings.Contains(strings.Join(tc.want, ""), "[FAIL]") {
				require.Equal(t, fault.Verification, fault.CodeOf(results.Err()),
					"the spec's code of a failed check, whatever the cause's")
			}
		})
	}
}

// scoped makes GitHub say this of the token.
func (w *world) scoped(scopes string, push bool) {
	w.env.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"X-Oauth-Scopes": {scopes}}, Request: r,
			Body: io.NopCloser(strings.NewReader(fmt.Sprintf(`{"permissions":{"push":%t}}`, push)))}, nil
	})
}

func (w *world) trusting(m *believed, err error) {
	w.env.Trust = func(context.Context) (root.TrustedMaterial, error) { return m, err }
}

func TestBaseImages(t *testing.T) {
	t.Parallel()
	const pinned, family = "ubuntu-2604-resolute-amd64-v20260918", "ubuntu-2604-lts-amd64"
	tdx := []*computepb.GuestOsFeature{{Type: new("TDX_CAPABLE")}}
	for name, tc := range map[string]struct {
		image *computepb.Image
		want  []string
	}{
		"a newer one": {&computepb.Image{Name: new("ubuntu-2604-resolute-amd64-v20261101"), Family: new(family),
			CreationTimestamp: new("2026-11-01T00:00:00Z"), GuestOsFeatures: tdx},
			[]string{"[WARN] base image: " + pinned + ": the base image is pinned to " + pinned +
				"; ubuntu-2604-lts-amd64 has ubuntu-2604-resolute-amd64-v20261101"}},
		"without TDX": {&computepb.Image{Name: new(pinned), Family: new(family),
			GuestOsFeatures: []*computepb.GuestOsFeature{{Type: new("GVNIC")}}},
			[]string{"[FAIL] base image: " + pinned +
				": it boots no TDX VM\n       Expected: TDX_CAPABLE\n       Got:      GVNIC\n"}},
		"deprecated": {&computepb.Image{Name: new(pinned), Family: new(family), GuestOsFeatures: tdx,
			Deprecated: &computepb.DeprecationStatus{State: new("OBSOLETE")}},
			[]string{"[FAIL] base image: "}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			said, results := newWorld(t, tc.image).ask(t, "base image", release.Node)
			require.True(t, results[0].OK() || results[0].Hint != "")
			for _, want := range tc.want {
				require.Contains(t, said, want)
			}
		})
	}
}

// A pin that does not exist is a failure that names what does.
func TestABaseImageThatDoesNotExist(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.env.Root = t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(w.env.Root, "packer"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(w.env.Root, "packer", "base.pkrvars.hcl"),
		[]byte("source_image = \"ubuntu-2404-tdx-v20250101\"\nsource_image_project = \"ubuntu-os-cloud\"\n"+
			"source_image_family = \"ubuntu-2404-tdx\"\n"), 0o600))
	w.env.Images = build.New(t.Context(), build.Options{Root: w.env.Root, Cloud: w.env.Cloud})
	said, results := w.ask(t, "base image", release.Node)
	require.Contains(t, said, "[FAIL] base image: the base image that is pinned does not exist")
	require.Contains(t, said, "Expected: image ubuntu-2404-tdx-v20250101 of project ubuntu-os-cloud\n")
	require.Contains(t, said, "ubuntu-2604-lts-amd64 (ubuntu-2604-resolute-amd64-v20260918)")
	require.Contains(t, said, "Hint:     pin one that exists in packer/base.pkrvars.hcl")
	require.Equal(t, fault.Verification, fault.CodeOf(results.Err()))
	result := doctor.BaseImage(t.Context(), w.env)
	require.False(t, result.OK(), "release:plan asks the same")
	require.Contains(t, result.Got, "ubuntu-2604-lts-amd64")
}

func TestAFamilyIsAskedForWhatItNeeds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	said, _ := w.ask(t, "Google Cloud", release.KMS)
	require.Contains(t, said, "[PASS] Google Cloud permissions: all 23 in mero-tests",
		"its end-to-end test makes no image")
	said, _ = w.ask(t, "base image", release.KMS)
	require.Contains(t, said, "[INFO] base image: not applicable: only node images have one")
	said, _ = w.ask(t, "registry", release.Node)
	require.Contains(t, said, "[INFO] registry push: not applicable: node images are not pushed")
}

// The rehearsal's world is asked by the same probes; what it makes when it is first needed stops nobody.
func TestTheRehearsal(t *testing.T) {
	t.Parallel()
	cfg, err := config.Load(variables(nil))
	require.NoError(t, err)
	cfg.KMSVersion, cfg.TEEVersion = release.Version{Minor: 1}, release.Version{Minor: 1}
	w, err := rehearsal.Open(t.Context(), filepath.Join("..", "..", ".."), t.TempDir(), cfg,
		console.New(io.Discard, false))
	require.NoError(t, err)
	defer w.Close()
	w.AskAsOwner()
	results := doctor.Examine(t.Context(), w.Env, doctor.Whole(release.KMS))
	require.NoError(t, results.Err())
	var b bytes.Buffer
	doctor.Print(console.New(&b, false), results)
	for _, line := range []string{"[PASS] GitHub token: may push", "[PASS] registry push", "[PASS] Intel Trust Authority",
		"[PASS] dstack provider",
		"[INFO] Google Cloud permissions: not applicable: a rehearsed key service", "[INFO] signing identity: not applicable",
		"[WARN] trusted root: skipped"} {
		require.Contains(t, b.String(), line)
	}
}

// The root that a key service's image will carry is compared with Sigstore's of
// today: that it is another one, and that nobody could look, are two things.
func TestTheKeyServicesTrustedRoot(t *testing.T) {
	t.Parallel()
	const name = "the key service's trusted root: "
	newer := func(t *testing.T, w *world) {
		t.Helper()
		root, err := os.ReadFile("../../kms/trusted_root.json")
		require.NoError(t, err)
		require.NoError(t, w.tuf.Publish(map[string][]byte{trust.SigningTarget: sigstore.SigningConfig,
			trust.RootTarget: append(root, '\n')}))
	}
	for what, tc := range map[string]struct {
		spoil func(*testing.T, *world)
		want  string
	}{
		"today's": {func(*testing.T, *world) {}, "[PASS] " + name + "Sigstore's of today\n"},
		"older":   {newer, "[WARN] " + name + "not Sigstore's of today: internal/kms/trusted_root.json has sha256:"},
		"not to be asked": {func(_ *testing.T, w *world) { w.answering(sigstore.TUFHost, 503) },
			"[WARN] " + name + "skipped: could not look: "},
		"only of an earlier look": {func(t *testing.T, w *world) {
			t.Helper()
			_, err := w.env.Sigstore.TrustedRootFile(t.Context())
			require.NoError(t, err)
			w.env.Sigstore = trust.New(w.env.Sigstore.Options)
			w.answering(sigstore.TUFHost, 503)
		}, "[WARN] " + name + "skipped: could not look: it is that of an earlier look"},
		"of no clone": {func(t *testing.T, w *world) { t.Helper(); w.env.Root = t.TempDir() },
			"[FAIL] " + name[:len(name)-2]},
		"of a rehearsal": {func(_ *testing.T, w *world) { w.env.Config.Environment = config.Rehearsal },
			"[INFO] " + name + "not applicable: a rehearsal has a Sigstore of its own"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			tc.spoil(t, w)
			said, _ := w.ask(t, "trusted root", release.KMS)
			require.Contains(t, said, tc.want)
		})
	}
	said, _ := newWorld(t, nil).ask(t, "trusted root", release.Node)
	require.NotContains(t, said, name, "node images carry none")
}

// A machine that cannot run the rehearsal's VMs is told so, with the way out.
func TestAMachineWithoutNamespaces(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.env.Config.Environment = config.Rehearsal
	w.env.Cloud = func(context.Context, journal.Journal) (*gce.Client, error) {
		return nil, &fault.Error{Code: fault.General, Message: "this machine gives the rehearsal's VMs no namespaces",
			Hint: "run as root"}
	}
	said, results := w.ask(t, "Google Cloud", release.Node)
	require.Contains(t, said,
		"[FAIL] VMs on this machine: this machine gives the rehearsal's VMs no namespaces\n       Hint:     run as root\n")
	require.Equal(t, fault.Verification, fault.CodeOf(results.Err()))
}

// The configuration's steps are those that the pipelines have.
func TestStepsExist(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, g := range []pipeline.Graph{kmsrelease.Plan(), noderelease.Plan()} {
		for _, s := range g {
			known[s.Target()] = true
		}
	}
	for _, v := range config.Variables() {
		for _, step := range append(v.Needs, v.Uses...) {
			require.True(t, known[step], "%s names %s", v.Name, step)
		}
	}
}

func TestTheTable(t *testing.T) {
	t.Parallel()
	const secret = "hunter2hunter2hunter2"
	vars := map[string]string{"MERO_ENVIRONMENT": "production", "GCP_ZONE": "moon", "GHCR_TOKEN": secret,
		"ITA_API_KEY":             secret + "\n",
		"GCP_SERVICE_ACCOUNT_KEY": secret, "PHALA_DSTACK_URL": "https://a:" + secret + "@x.example",
		"MERO_KMS_VERSION": "1.2.0"}
	cfg, entries := config.Inspect(variables(vars))
	var table, lines bytes.Buffer
	require.NoError(t, doctor.WriteTable(&table, entries, release.KMS))
	for _, line := range []string{
		`(?m)^MERO_KMS_VERSION +variable +set, valid +kms:version$`,
		`(?m)^MERO_TEE_VERSION +variable +not set +kms:version kms:policy kms:e2e$`,
		`(?m)^MERO_KMS_PROFILE +variable +default: locked-read-only `,
		`(?m)^GCP_ZONE +variable +not valid: not a zone +kms:e2e$`,
		`(?m)^GHCR_TOKEN +secret +set, valid +kms:build$`,
		`(?m)^ITA_API_KEY +secret +not valid: not one line of visible ASCII characters `,
		`(?m)^GITHUB_ACTIONS +runtime +not set +every command$`,
	} {
		require.Regexp(t, line, table.String())
	}
	results := doctor.Configured(cfg, entries, doctor.Whole(release.KMS))
	doctor.Print(console.New(&lines, false), results)
	require.NotContains(t, table.String()+lines.String(), secret)
	for _, line := range []string{
		"[FAIL] configuration: GCP_ZONE is not a zone\n       Expected: a zone with TDX, for example us-central1-a\n" +
			"       Got:      \"moon\"\n",
		"[FAIL] configuration: GCP_SERVICE_ACCOUNT_KEY is not JSON\n",
		"[FAIL] configuration: MERO_TEE_VERSION is not set: kms:version, kms:policy, kms:e2e will stop\n",
		"Hint:     set the secret PHALA_CLOUD_API_KEY in the repository's settings: one of a GitHub environment " +
			"does not reach this job\n",
	} {
		require.Contains(t, lines.String(), line)
	}
	require.Equal(t, fault.Verification, fault.CodeOf(results.Err()))
}

// A key may be replaced by a workload identity; a rehearsal needs nothing.
func TestWhatMayBeMissing(t *testing.T) {
	t.Parallel()
	production := map[string]string{"MERO_ENVIRONMENT": "production", "GCP_PROJECT_ID": "mero-tests",
		"GCP_ZONE":         "us-central1-a",
		"MERO_KMS_VERSION": "1.2.0", "MERO_TEE_VERSION": "1.2.0", "PHALA_DSTACK_URL": "https://x.example",
		"PHALA_CLOUD_API_KEY": "k", "GHCR_TOKEN": "k"}
	for name, tc := range map[string]struct {
		add    map[string]string
		failed int
	}{
		"neither key nor identity": {nil, 1},
		"an identity":              {map[string]string{"GOOGLE_APPLICATION_CREDENTIALS": "/c.json"}, 0},
		"a rehearsal":              {map[string]string{"MERO_ENVIRONMENT": "", "GHCR_TOKEN": ""}, 0},
		"a misspelt environment":   {map[string]string{"MERO_ENVIRONMENT": "prod"}, 1},
	} {
		vars := map[string]string{}
		for _, m := range []map[string]string{production, tc.add} {
			for k, v := range m {
				vars[k] = v
			}
		}
		cfg, entries := config.Inspect(variables(vars))
		results := doctor.Configured(cfg, entries, doctor.Whole(release.Families()...))
		require.Equal(t, tc.failed, results.Count(check.Failed), name)
	}
}

// What is busy is asked again; only what stays so fails.
func TestABusyService(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.ita.Change(func(k *appraiser.Faults) { k.Busy = 1 })
	said, _ := w.ask(t, "Intel Trust Authority", release.KMS)
	require.Contains(t, said, "[PASS] Intel Trust Authority")
}

// Nothing is created: what is not a GET asks for a token, for permissions, and
// for an upload that is cancelled and holds nothing.
func TestNothingIsCreated(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	var mu sync.Mutex
	var sent []string
	next := w.env.Transport
	w.env.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.Method != http.MethodGet {
			mu.Lock()
			sent = append(sent, r.Method+" "+r.URL.Host+strings.TrimRight(r.URL.Path, "0123456789"))
			mu.Unlock()
		}
		return next.RoundTrip(r)
	})
	w.env.ITA.Transport = w.env.Transport
	before := w.cloud.Resources()
	for _, probe := range []string{"GitHub", "approval", "registry", "Google Cloud", "base image", "Intel Trust Authority",
		"dstack", "signing identity", "trusted root"} {
		w.ask(t, probe, release.Families()...)
	}
	slices.Sort(sent)
	require.Equal(t, []string{
		"DELETE ghcr.io/v2/calimero-network/mero-kms/blobs/uploads/",
		"POST cloudresourcemanager.googleapis.com/v1/projects/mero-tests:testIamPermissions",
		"POST ghcr.io/v2/calimero-network/mero-kms/blobs/uploads/",
		"POST oauth2.googleapis.com/token",
	}, slices.Compact(sent))
	require.Equal(t, before, w.cloud.Resources())
	stored, err := filepath.Glob(filepath.Join(w.registry, "*", "*"))
	require.NoError(t, err)
	require.Empty(t, stored)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Where the provider is this machine, it has to run what is deployed.
func TestAMachineThatRunsNoApplications(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.env.Able = func(context.Context, release.Family) error {
		return &fault.Error{Code: fault.General, Message: "no user namespaces", Hint: "allow them"}
	}
	said, results := w.ask(t, "dstack", release.KMS)
	require.Contains(t, said, "[FAIL] applications on this machine: no user namespaces\n       Hint:     allow them\n")
	require.Equal(t, fault.Verification, fault.CodeOf(results.Err()))
	w.env.Able = func(context.Context, release.Family) error { return nil }
	said, _ = w.ask(t, "dstack", release.KMS)
	require.Contains(t, said, "[PASS] applications on this machine\n")
}

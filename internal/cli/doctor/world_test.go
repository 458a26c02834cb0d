package doctor_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"cloud.google.com/go/compute/apiv1/computepb"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/artifact/trust"
	"github.com/calimero-network/mero-tee/internal/attestation/ita"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/cli/doctor"
	"github.com/calimero-network/mero-tee/internal/node/build"
	"github.com/calimero-network/mero-tee/internal/node/packer"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/provider/gce"
	"github.com/calimero-network/mero-tee/internal/rehearsal/dstack"
	cloud "github.com/calimero-network/mero-tee/internal/rehearsal/gce"
	"github.com/calimero-network/mero-tee/internal/rehearsal/github"
	appraiser "github.com/calimero-network/mero-tee/internal/rehearsal/ita"
	"github.com/calimero-network/mero-tee/internal/rehearsal/network"
	"github.com/calimero-network/mero-tee/internal/rehearsal/registry"
	"github.com/calimero-network/mero-tee/internal/rehearsal/sigstore"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// The secrets of this world: none is a word that a message could hold.
const (
	gitHubToken   = "gho_0123456789secret"
	registryToken = "ghp_0123456789secret"
	itaKey        = "ita-0123456789secret"
	dstackKey     = "phak_0123456789secret"
	project       = "mero-tests"
)

// world is what a production release talks to, answered by the rehearsal's servers.
type world struct {
	env   *environment.Environment
	cloud *cloud.Server
	ita   *appraiser.Service
	key   []byte // of the cloud's account

	registry string // folder of what is stored

	hub *github.Server
	tuf *sigstore.TUF
	now time.Time // by which Sigstore's metadata is judged
}

// around stands between the clients and a host.
type around struct {
	next http.RoundTripper
	by   map[string]func(*http.Request) (*http.Response, error)
}

func (a around) RoundTrip(r *http.Request) (*http.Response, error) {
	if f := a.by[r.URL.Host]; f != nil {
		return f(r)
	}
	return a.next.RoundTrip(r)
}

// instead answers for a host.
func (w *world) instead(host string, answer func(*http.Request) (status int, body string)) {
	w.env.Transport = around{w.env.Transport,
		map[string]func(*http.Request) (*http.Response, error){host: func(r *http.Request) (*http.Response, error) {
			status, body := answer(r)
			return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)),
				Request: r}, nil
		}}}
	w.env.ITA.Transport = w.env.Transport
}

func (w *world) answering(host string, status int) { w.saying(host, status, "") }

func (w *world) saying(host string, status int, body string) {
	w.instead(host, func(*http.Request) (int, string) { return status, body })
}

// echoing is a gateway that repeats what it was sent.
func (w *world) echoing(host string) {
	w.instead(host, func(r *http.Request) (int, string) {
		return http.StatusTeapot, "you sent " + r.Header.Get("X-Api-Key")
	})
}

func newWorld(t *testing.T, base *computepb.Image) *world {
	t.Helper()
	n := network.New()
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	handle := func(h http.Handler, hosts ...string) {
		for _, host := range hosts {
			require.NoError(t, n.Handle(host, h))
		}
	}
	hub, err := github.New(github.Options{Dir: t.TempDir(), Repository: config.DefaultRepository, Token: gitHubToken,
		Settings: github.Documented("ann", "ben")})
	require.NoError(t, err)
	handle(hub, github.Hosts()...)
	stored := t.TempDir()
	images, err := registry.Open(registry.Options{Dir: stored, Token: registryToken, Now: time.Now})
	require.NoError(t, err)
	handle(images, "ghcr.io")
	authority, err := theAuthority()
	require.NoError(t, err)
	w := &world{registry: stored, now: today, hub: hub,
		ita: appraiser.New(appraiser.Options{Authority: authority, APIKey: itaKey, Now: time.Now})}
	handle(w.ita, appraiser.Hosts()...)
	handle(newProvider(t), "cloud-api.phala.com")
	w.tuf = newTUF(t)
	handle(w.tuf, sigstore.TUFHost)
	w.cloud = newCloud(t, base)
	handle(w.cloud, cloud.Hosts()...)
	w.key = w.cloud.Key()
	w.open(t, n.Transport(), authority.RootSHA256())
	return w
}

var theAuthority = sync.OnceValues(appraiser.NewAuthority)

// open is production's environment on the closed network.
func (w *world) open(t *testing.T, transport http.RoundTripper, itaRoot [32]byte) {
	cfg, err := config.Load(variables(map[string]string{
		"MERO_ENVIRONMENT": config.Production, "GITHUB_TOKEN": gitHubToken, "GHCR_TOKEN": registryToken,
		"ITA_API_KEY": itaKey, "PHALA_CLOUD_API_KEY": dstackKey,
		"GCP_PROJECT_ID": project, "GCP_ZONE": "us-central1-a", "GCP_SERVICE_ACCOUNT_KEY": string(w.key),
		"ACTIONS_ID_TOKEN_REQUEST_URL": "https://actions.example", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "job-0123456789secret"}))
	require.NoError(t, err)
	e := &environment.Environment{Settings: environment.Settings{Config: cfg, Root: "../../..", Transport: transport,
		PlatformFile: "../../../docker/mero-kms/dstack-platforms.json",
		GitHubToken:  cfg.GitHubToken,
		RegistryAuth: &authn.Basic{Username: "calimero-network", Password: registryToken},
		TDXRoot:      [32]byte{1},
		DstackURL:    "https://cloud-api.phala.com/api/v1", DstackKey: cfg.DstackKey,
		ITA:   ita.Config{URL: ita.APIURL, Key: itaKey, Root: itaRoot, Transport: transport},
		Trust: func(context.Context) (root.TrustedMaterial, error) { return material(), nil }}}
	e.Cloud = func(ctx context.Context, j journal.Journal) (*gce.Client, error) {
		return gce.New(ctx, gce.Options{Project: project, Zone: cfg.GCPZone, Key: w.key, Transport: e.Transport, Journal: j,
			Wait: func(context.Context, time.Duration) error { return nil }})
	}
	e.Images = build.New(t.Context(), build.Options{Root: e.Root, Project: project, Zone: cfg.GCPZone, Cloud: e.Cloud})
	first, err := w.tuf.InitialRoot()
	require.NoError(t, err)
	e.Sigstore = trust.New(trust.Options{Root: first, Cache: t.TempDir(), Now: func() time.Time { return w.now },
		Transport: roundTripper(func(r *http.Request) (*http.Response, error) { return e.Transport.RoundTrip(r) }),
		Wait:      func(context.Context, time.Duration) error { return nil }})
	w.env = e
}

// today is when the TUF repository was signed.
var today = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func newTUF(t *testing.T) *sigstore.TUF {
	t.Helper()
	tuf, err := sigstore.OpenTUF(t.TempDir(), func() time.Time { return today })
	require.NoError(t, err)
	root, err := os.ReadFile("../../kms/trusted_root.json")
	require.NoError(t, err)
	require.NoError(t, tuf.Publish(map[string][]byte{trust.SigningTarget: sigstore.SigningConfig, trust.RootTarget: root}))
	return tuf
}

func variables(m map[string]string) config.Lookup {
	return func(k string) (string, bool) { v, ok := m[k]; return v, ok }
}

func newProvider(t *testing.T) *dstack.Provider {
	pki, err := tdxsim.NewPKI([]byte("doctor"))
	require.NoError(t, err)
	platform, err := pki.NewPlatform(0)
	require.NoError(t, err)
	p, err := dstack.New(dstack.Options{State: t.TempDir(), Seed: make([]byte, 32), APIKey: dstackKey, TDX: platform,
		Unpack: func(context.Context, string, string) (v1.Config, error) { return v1.Config{}, os.ErrNotExist }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

// noMachines: nothing is booted by asking.
type noMachines struct{}

func (noMachines) Unpack(context.Context, string, string) error  { return os.ErrInvalid }
func (noMachines) Capture(context.Context, string, string) error { return os.ErrInvalid }
func (noMachines) Boot(context.Context, cloud.Spec) (cloud.Machine, error) {
	return nil, os.ErrInvalid
}

// theKey is made once: it takes long.
var theKey = sync.OnceValues(func() ([]byte, error) { return cloud.NewKey(project) })

// newCloud has the pinned base image, and base, if it is not nil, besides.
func newCloud(t *testing.T, base *computepb.Image) *cloud.Server {
	s, err := cloud.New(cloud.Options{State: t.TempDir(), Project: project, Zone: "us-central1-a", Host: noMachines{},
		Role: gce.ReleasePermissions(),
		Key:  theKey})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	pin, err := packer.ReadBase("../../..")
	require.NoError(t, err)
	image := &computepb.Image{Name: new(pin.Image), Family: new(pin.Family),
		CreationTimestamp: new("2025-01-01T00:00:00Z"),
		GuestOsFeatures:   []*computepb.GuestOsFeature{{Type: new("TDX_CAPABLE")}, {Type: new("UEFI_COMPATIBLE")}}}
	for _, i := range []*computepb.Image{base, image} {
		if i == nil {
			continue
		}
		tar := filepath.Join(t.TempDir(), "image.tar")
		require.NoError(t, os.WriteFile(tar, []byte("image"), 0o600))
		require.NoError(t, s.Import(pin.Project, i, tar))
	}
	return s
}

// believed is a trusted root of one authority and two logs.
type believed struct {
	root.BaseTrustedMaterial
	ends time.Time
}

func material() *believed { return &believed{ends: time.Now().AddDate(1, 0, 0)} }

func (m *believed) FulcioCertificateAuthorities() []root.CertificateAuthority {
	return []root.CertificateAuthority{&root.FulcioCertificateAuthority{ValidityPeriodStart: began,
		ValidityPeriodEnd: m.ends}}
}
func (m *believed) RekorLogs() map[string]*root.TransparencyLog {
	return map[string]*root.TransparencyLog{"a": {ValidityPeriodStart: began},
		"old": {ValidityPeriodStart: began, ValidityPeriodEnd: began}}
}
func (m *believed) CTLogs() map[string]*root.TransparencyLog {
	return map[string]*root.TransparencyLog{"b": {ValidityPeriodStart: began}}
}

var began = time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC)

// ask is what a probe's results print, and the results.
func (w *world) ask(t *testing.T, probe string, families ...release.Family) (string, check.Results) {
	t.Helper()
	results := doctor.Ask(t.Context(), w.env, probe, families...)
	return w.printed(t, results), results
}

// printed holds no secret.
func (w *world) printed(t *testing.T, results check.Results) string {
	t.Helper()
	var b bytes.Buffer
	doctor.Print(console.New(&b, false), results)
	secrets := append(strings.Split(string(w.key), `\n`), gitHubToken, registryToken, itaKey, dstackKey,
		"job-0123456789secret",
		w.env.GitHubToken.Reveal(), w.env.ITA.Key.Reveal(), w.env.DstackKey.Reveal())
	for _, secret := range secrets {
		if len(secret) > 10 && !strings.Contains(secret, ":") {
			require.NotContains(t, b.String(), secret)
		}
	}
	return b.String()
}

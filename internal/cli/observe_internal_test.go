package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/provider/dstack"
	rehearsal "github.com/calimero-network/mero-tee/internal/rehearsal/github"
	"github.com/calimero-network/mero-tee/internal/rehearsal/keyservice"
	"github.com/calimero-network/mero-tee/internal/rehearsal/network"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
	"github.com/calimero-network/mero-tee/internal/release/config"
	"github.com/calimero-network/mero-tee/internal/verify/migration"
)

const (
	platformsPath = measurement.PlatformsFile
	observedImage = "dstack-0.5.11"
)

// observing is an operator whose GitHub's main branch holds the shipped platforms file and its page.
func observing(t *testing.T) (*operator, *bytes.Buffer) {
	t.Helper()
	o, said := proposing(t)
	s, err := rehearsal.New(rehearsal.Options{Dir: t.TempDir(), Repository: config.DefaultRepository, Token: "secret"})
	require.NoError(t, err)
	files := map[string][]byte{}
	for _, name := range []string{platformsPath, platformsPage} {
		files[name], err = os.ReadFile(filepath.Join("../..", name))
		require.NoError(t, err)
	}
	require.NoError(t, s.Push("refs/heads/main", strings.Repeat("a", 40), files))
	n := network.New()
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	for _, host := range rehearsal.Hosts() {
		require.NoError(t, n.Handle(host, s))
	}
	o.env.Root, o.env.PlatformFile = "/work tree", "/work tree/"+platformsPath
	o.env.Transport, o.env.GitHubToken, o.env.Dist = n.Transport(), "secret", t.TempDir()
	o.github, err = o.env.GitHub()
	require.NoError(t, err)
	return o, said
}

func seenImage() measurement.Platform {
	return measurement.Platform{Image: observedImage, OSImageHash: digest.Digest{1}, VMShape: "tdx.small", Cluster: "prod",
		MRTD: tdx.Register{1}, RTMR0: tdx.Register{2}, RTMR1: tdx.Register{3}, RTMR2: tdx.Register{4}, Source: "a quote"}
}

func TestAnObservedImageIsProposed(t *testing.T) {
	t.Parallel()
	o, said := observing(t)
	var w bytes.Buffer
	require.NoError(t, o.proposePlatform(t.Context(), &w, seenImage(), true))
	require.Contains(t, w.String(), `"image": "dstack-0.5.11"`)
	require.Empty(t, said.String(), "a dry run proposes nothing")

	require.NoError(t, o.proposePlatform(t.Context(), &w, seenImage(), false))
	require.Contains(t, said.String(), "proposed in pull request #")
	branch := "platforms/" + observedImage
	data, err := o.github.ReadFile(t.Context(), platformsPath, branch)
	require.NoError(t, err)
	file, err := measurement.DecodePlatforms(data)
	require.NoError(t, err)
	got, err := file.Named(observedImage)
	require.NoError(t, err)
	require.Equal(t, seenImage(), got)
	require.Equal(t, "dstack-0.5.9", file.Image)
	page, err := o.github.ReadFile(t.Context(), platformsPage, branch)
	require.NoError(t, err)
	require.Contains(t, string(page),
		platformsTable+"| `dstack-0.5.11` | tdx.small | prod | a quote |\n| `dstack-0.5.9` |")
}

// What is listed as it was observed needs no proposal; other values are said aloud.
func TestAKnownImageObservedAgain(t *testing.T) {
	t.Parallel()
	o, said := observing(t)
	data, err := o.onMain(t.Context(), platformsPath)
	require.NoError(t, err)
	file, err := measurement.DecodePlatforms(data)
	require.NoError(t, err)
	known, err := file.Named("dstack-0.5.8")
	require.NoError(t, err)
	known.Source = "seen again"
	require.NoError(t, o.proposePlatform(t.Context(), &bytes.Buffer{}, known, false))
	require.Contains(t, said.String(), "nothing to propose")
	known.RTMR1 = tdx.Register{7}
	require.NoError(t, o.proposePlatform(t.Context(), &bytes.Buffer{}, known, true))
	require.Contains(t, said.String(), "other values than were observed")
}

func TestAPageWithoutItsTable(t *testing.T) {
	t.Parallel()
	_, err := withRow([]byte("# Measurements\n"), seenImage())
	require.ErrorContains(t, err, platformsPage)
	again, err := withRow([]byte(platformsTable+"| `dstack-0.5.11` | old |\nrest"), seenImage())
	require.NoError(t, err)
	require.Equal(t, platformsTable+"| `dstack-0.5.11` | tdx.small | prod | a quote |\nrest", string(again))
}

// machines runs one key service, whatever is deployed.
type machines struct {
	url     string
	app     dstack.App
	deleted []string
	err     error
}

func (m *machines) Deploy(_ context.Context, app dstack.App) (*dstack.Deployment, error) {
	m.app = app
	if app.Announce != nil {
		if err := app.Announce("7"); err != nil {
			return nil, err
		}
	}
	return &dstack.Deployment{ID: "app_7", AppID: "7", URL: m.url}, nil
}

func (m *machines) Delete(_ context.Context, id string) error {
	m.deleted = append(m.deleted, id)
	return m.err
}

// simulated sends loopback to the network and everything else to the platform's collateral.
type simulated struct{ pcs http.Handler }

func (s simulated) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Hostname() == "127.0.0.1" {
		return http.DefaultTransport.RoundTrip(r)
	}
	w := httptest.NewRecorder()
	s.pcs.ServeHTTP(w, r)
	return w.Result(), nil
}

func TestObserve(t *testing.T) {
	t.Parallel()
	o, _ := observing(t)
	pki, err := tdxsim.NewPKI([]byte("observe"))
	require.NoError(t, err)
	platform, err := pki.NewPlatform(1)
	require.NoError(t, err)
	s, err := keyservice.New(platform, sha256.Sum256([]byte("compose")), keyservice.Own)
	require.NoError(t, err)
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	o.env.Transport, o.env.TDXRoot = simulated{tdxsim.NewPCS(pki, time.Now, platform)}, pki.RootSHA256()
	m := &machines{url: h.URL}
	service := migration.Release{AppCompose: []byte("compose")}
	seen, err := o.observe(t.Context(), m, service, observedImage)
	require.NoError(t, err)
	r := s.TD.Registers()
	require.Equal(t, []tdx.Register{r.MRTD, r.RTMR0, r.RTMR1, r.RTMR2},
		[]tdx.Register{seen.MRTD, seen.RTMR0, seen.RTMR1, seen.RTMR2})
	require.Contains(t, seen.Source, "a verified quote of application 7, TCB status UpToDate")
	require.Equal(t, observedImage, m.app.Image)
	require.Regexp(t, "^mero-observe-dstack-0-5-11-[a-z2-7]{8}$", m.app.Name)
	require.Equal(t, []string{"app_7"}, m.deleted)

	service.AppCompose = []byte("another")
	_, err = o.observe(t.Context(), m, service, observedImage)
	require.Equal(t, fault.Verification, fault.CodeOf(err), "the quote of another compose file proves nothing")
	require.Len(t, m.deleted, 2)
}

func TestObservedNeedsTheEvent(t *testing.T) {
	t.Parallel()
	_, err := observed(observedImage, &dstack.Deployment{}, &agent.KMSReport{Verdict: &tdx.Verdict{},
		Events: []tdx.Event{{Name: "os-image-hash", Payload: []byte("short")}}})
	require.Equal(t, fault.Verification, fault.CodeOf(err))
	require.Equal(t, "dstack-pha-prod5", cluster("https://aa-8080.dstack-pha-prod5.phala.network"))
}

// An interrupted command leaves its ledger, where sweep finds it; one that cleaned up leaves nothing.
func TestACommandsDeploymentsHaveALedger(t *testing.T) {
	t.Parallel()
	for name, left := range map[string]bool{"cleaned up": false, "left behind": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dist := t.TempDir()
			ledger, err := pipeline.OpenLedger(filepath.Join(dist, "observe-run1"), "mero-kms-v1.2.0", strings.Repeat("a", 40),
				time.Now)
			require.NoError(t, err)
			m := &machines{}
			if left {
				m.err = errors.New("provider is down")
			}
			p := steps.Journalled(m, ledger.Journal("observe"))
			d, err := p.Deploy(t.Context(), dstack.App{Name: "mero-observe-run1"})
			require.NoError(t, err)
			require.Equal(t, left, p.Delete(t.Context(), d.ID) != nil)
			require.NoError(t, ledger.Close())
			ledgers, err := allLedgers(dist)
			require.NoError(t, err)
			want := []string{}
			if left {
				want = append(want, "mero-observe-run1/7")
			}
			require.ElementsMatch(t, want, openIn(ledgers))
		})
	}
}

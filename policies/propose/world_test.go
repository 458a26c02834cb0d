package propose_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	rehearsal "github.com/calimero-network/mero-tee/internal/rehearsal/github"
	"github.com/calimero-network/mero-tee/internal/rehearsal/network"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tested"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
	"github.com/calimero-network/mero-tee/policies/propose"
)

const (
	repository = "calimero-network/mero-tee"
	token      = "ghs_secret"
	api        = "https://api.github.com/repos/" + repository + "/"
	day        = "2026-05-01"
)

// world is a GitHub whose main branch holds the working policies.
type world struct {
	t      *testing.T
	server *rehearsal.Server
	client *github.Client
	http   *http.Client
	pushed int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s, err := rehearsal.New(rehearsal.Options{Dir: t.TempDir(), Repository: repository, Token: token})
	require.NoError(t, err)
	n := network.New()
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	for _, host := range rehearsal.Hosts() {
		require.NoError(t, n.Handle(host, s))
	}
	c, err := github.New(github.Options{Repository: repository, Token: token, Transport: n.Transport()})
	require.NoError(t, err)
	w := &world{t: t, server: s, client: c, http: &http.Client{Transport: n.Transport()}}
	shipped, err := policies.LoadDir(os.DirFS(".."))
	require.NoError(t, err)
	w.push(shipped)
	return w
}

// push merges: it makes set what the main branch holds.
func (w *world) push(set propose.Set) {
	w.t.Helper()
	w.pushFiles(map[string][]byte{"docs/policies.md": []byte("# Attestation policies\n")}, set)
}

func (w *world) pushFiles(files map[string][]byte, set propose.Set) {
	w.t.Helper()
	for p, working := range set {
		data, err := working.Encode()
		require.NoError(w.t, err)
		files["policies/"+policies.File(p)] = data
	}
	w.pushed++
	id := sha256.Sum256([]byte{byte(w.pushed)})
	require.NoError(w.t, w.server.Push("refs/heads/main", hex.EncodeToString(id[:20]), files))
}

func (w *world) main() propose.Set {
	w.t.Helper()
	set, err := propose.Load(w.t.Context(), w.client, propose.Base)
	require.NoError(w.t, err)
	return set
}

// open proposes and returns the pull request's number.
func (w *world) open(p *propose.Proposal) github.PullRequest {
	w.t.Helper()
	pr, err := propose.Open(w.t.Context(), w.client, p)
	require.NoError(w.t, err)
	return pr
}

type pull struct {
	Number      int
	Title, Body string
	Labels      []struct{ Name string }
	Head        struct{ Ref string }
}

func (w *world) pulls() (out []pull) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, api+"pulls?state=all", nil)
	require.NoError(w.t, err)
	req.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	resp, err := w.http.Do(req)
	require.NoError(w.t, err)
	defer resp.Body.Close()
	var all bytes.Buffer
	_, err = all.ReadFrom(resp.Body)
	require.NoError(w.t, err)
	require.NoError(w.t, json.Unmarshal(all.Bytes(), &out))
	return out
}

func (w *world) file(path, branch string) string {
	w.t.Helper()
	data, err := w.client.ReadFile(w.t.Context(), path, branch)
	require.NoError(w.t, err)
	return string(data)
}

// published is a node release's published-mrtds.json; change alters each profile of it.
func published(t *testing.T, version string, change func(release.Profile, *measurement.Profile)) []byte {
	t.Helper()
	data, err := os.ReadFile("../../internal/attestation/measurement/testdata/node.json")
	require.NoError(t, err)
	p, err := measurement.Decode(data)
	require.NoError(t, err)
	if p.Tag.Version, err = release.ParseVersion(version); err != nil {
		require.NoError(t, err)
	}
	for name, m := range p.Profiles {
		m.RTMR1[0] ^= byte(p.Tag.Version.Patch) // each release has its own image
		m.RTMR0 = tdx.Replay(bootLog(), 0)
		if change != nil {
			change(name, &m)
		}
		p.Profiles[name] = m
	}
	data, err = canonical.Marshal(p)
	require.NoError(t, err)
	return data
}

// firmware is what the platform shows after Google changed it.
func firmware(_ release.Profile, m *measurement.Profile) {
	m.MRTD, m.RTMR0 = tdx.Register(bytes.Repeat([]byte{0xcc}, 48)), tdx.Replay(movedLog(), 0)
}

// platform explains such an observation.
func platform() propose.Platform {
	return propose.Platform{Promoted: func(release.Tag) (propose.Boots, error) { return boots(bootLog()), nil },
		Seen: boots(movedLog())}
}

func boots(log []tdx.Event) propose.Boots {
	out := propose.Boots{}
	for _, p := range release.Profiles() {
		out[p] = log
	}
	return out
}

func node(t *testing.T, version string) release.Tag {
	t.Helper()
	tag, err := release.ParseTag("mero-tee-v" + version)
	require.NoError(t, err)
	return tag
}

// promoted is a world whose main branch holds the measurements of 1.2.0.
func promoted(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	p, err := promote(t, w.main(), published(t, "1.2.0", nil))
	require.NoError(t, err)
	w.push(p.After)
	return w
}

func registerOf(t *testing.T, w *world, p release.Profile) string {
	t.Helper()
	return w.main()[p].Measurements[0].RTMR2.String()
}

func digestLine(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func hasLine(text, part string) bool {
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) {
			return true
		}
	}
	return false
}

// promote is propose.Promote of a release that passed its E2E.
func promote(t *testing.T, before propose.Set, data []byte) (*propose.Proposal, error) {
	t.Helper()
	return propose.Promote(before, data, propose.Voucher{Tests: vouching(t, data)})
}

// vouching is a successful E2E of a node release; nothing for what is none.
func vouching(t *testing.T, data []byte) policies.Tests {
	t.Helper()
	p, err := measurement.Decode(data)
	if err != nil || p.Family != release.Node {
		return nil
	}
	e, err := tested.Passed(tested.Candidate(p.Tag), data, time.Unix(0, 0))
	require.NoError(t, err)
	return policies.Tests{p.Tag: {e}}
}

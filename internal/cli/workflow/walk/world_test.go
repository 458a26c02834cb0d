// Package walk_test walks the release workflows as GitHub Actions would, job by
// job, from a pushed tag to a promoted release.
//
// Its promise: every script of a job runs in a fresh clone, with the variables,
// secrets, rights and artifacts that the workflow gives that job, in a program
// that differs from production's in whom it believes and in what a node image is
// made of; what a job reaches are the production names of outside systems.
package walk_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"cloud.google.com/go/compute/apiv1/computepb"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/artifact/sign"
	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/node/packer"
	"github.com/calimero-network/mero-tee/internal/pipeline/releasetest"
	"github.com/calimero-network/mero-tee/internal/rehearsal"
	"github.com/calimero-network/mero-tee/internal/rehearsal/actions"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/inprocess"
	"github.com/calimero-network/mero-tee/internal/rehearsal/github"
	"github.com/calimero-network/mero-tee/internal/release/config"
	"github.com/calimero-network/mero-tee/internal/verify/clearance"
)

const (
	source     = "../../../.." // the repository
	companions = "companions.rehearsal.invalid"
)

// Who pushes tags, and who approves.
const (
	maintainer = "ann"
	reviewer   = "ben"
	owner      = "rehearsal" // the token of the repository's owner, at GitHub and at the registry
)

// walk is a repository, the world outside of it, and its GitHub Actions.
type walk struct {
	t       *testing.T
	dir     string
	origin  string // the repository that people push to
	world   *rehearsal.World
	service *actions.Service
	vars    map[string]string
	secrets map[string]string
	machine actions.Machine
	mage    string
	said    *bytes.Buffer

	decision string            // who approves deployments; "" rejects them
	moving   map[string]string // variables that somebody sets while an approval is pending
	reviewed map[string]actions.Environment
	mu       sync.Mutex
}

func begin(t *testing.T) *walk {
	t.Helper()
	w := &walk{t: t, dir: t.TempDir(), said: &bytes.Buffer{}}
	w.origin = filepath.Join(w.dir, "origin")
	w.copySources()
	w.openWorld()
	w.pinStandIns()
	w.compile()
	w.setUp()
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(w.said.String())
		}
	})
	return w
}

// copySources makes a repository of what lies in this one, committed or not.
func (w *walk) copySources() {
	out, err := exec.CommandContext(w.t.Context(), "git", "-C", source, "ls-files", "-z", "--cached", "--others",
		"--exclude-standard").Output()
	require.NoError(w.t, err)
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		from, to := filepath.Join(source, name), filepath.Join(w.origin, name)
		info, err := os.Stat(from)
		if err != nil { // deleted, and not committed
			continue
		}
		data, err := os.ReadFile(from)
		require.NoError(w.t, err)
		require.NoError(w.t, os.MkdirAll(filepath.Dir(to), 0o755))
		require.NoError(w.t, os.WriteFile(to, data, info.Mode().Perm()))
	}
	require.NoError(w.t, releasetest.Git(w.origin, "init", "-q", "-b", "main"))
	w.commit("The beginning")
}

func (w *walk) commit(message string) {
	require.NoError(w.t, releasetest.Git(w.origin, "add", "--all"))
	require.NoError(w.t, releasetest.Git(w.origin, "commit", "-q", "--allow-empty", "-m", message))
}

// openWorld starts the one world of the walk.
func (w *walk) openWorld() {
	cfg, err := config.Load(func(string) (string, bool) { return "", false })
	require.NoError(w.t, err)
	w.world, err = rehearsal.Open(w.t.Context(), w.origin, filepath.Join(w.dir, "world"), cfg, console.New(w, false))
	require.NoError(w.t, err)
	w.t.Cleanup(func() { require.NoError(w.t, w.world.Close()) })
	pin, err := packer.ReadBase(w.origin)
	require.NoError(w.t, err)
	base := filepath.Join(w.dir, "base.tar.gz")
	require.NoError(w.t, os.WriteFile(base, []byte("nothing boots this"), 0o600))
	require.NoError(w.t, w.world.ImportImage(pin.Project,
		&computepb.Image{Name: &pin.Image, Family: &pin.Family, GuestOsFeatures: inprocess.Features()}, base))
}

// pinStandIns commits pins of the companions that this world has: those of the
// repository are of archives that others keep.
func (w *walk) pinStandIns() {
	file := filepath.Join(w.origin, "packer", "companions.json")
	data, err := os.ReadFile(file)
	require.NoError(w.t, err)
	var pins map[string]any
	require.NoError(w.t, json.Unmarshal(data, &pins))
	for _, one := range pins["companions"].([]any) {
		pin := one.(map[string]any)
		name := pin["name"].(string)
		pin["url"], pin["member"] = "https://"+companions+"/"+name+".tar.gz", name
		resp, err := w.world.Env.Client().Get(pin["url"].(string))
		require.NoError(w.t, err)
		archive, err := io.ReadAll(resp.Body)
		require.NoError(w.t, errors.Join(err, resp.Body.Close()))
		pin["sha256"] = digest.Of(archive).String()
	}
	data, err = json.MarshalIndent(pins, "", "  ")
	require.NoError(w.t, err)
	require.NoError(w.t, os.WriteFile(file, append(data, '\n'), 0o600))
	w.commit("Pin stand-ins")
}

// Write hears everybody.
func (w *walk) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.said.Write(p)
}

// compile makes the program that the jobs call: production's, but for its roots.
func (w *walk) compile() {
	clone := filepath.Join(w.dir, "compiled")
	require.NoError(w.t, releasetest.Git(w.dir, "clone", "-q", w.origin, clone))
	roots, err := filepath.Abs("testdata/roots.go.txt")
	require.NoError(w.t, err)
	overlay, err := json.Marshal(map[string]map[string]string{
		"Replace": {filepath.Join(clone, "internal/pipeline/environment/roots.go"): roots}})
	require.NoError(w.t, err)
	file := filepath.Join(w.dir, "overlay.json")
	require.NoError(w.t, os.WriteFile(file, overlay, 0o600))
	w.mage = filepath.Join(w.dir, "mage")
	cmd := exec.CommandContext(w.t.Context(), "go", "tool", "mage", "-compile", w.mage)
	cmd.Dir, cmd.Env = clone, append(os.Environ(), "GOFLAGS=-trimpath -overlay="+file)
	out, err := cmd.CombinedOutput()
	require.NoError(w.t, err, "%s", out)
}

// setUp is what docs/releasing.md has people set up, sections 1 to 4.
func (w *walk) setUp() {
	key, err := w.world.CloudKey()
	require.NoError(w.t, err)
	w.vars = map[string]string{
		"GCP_PROJECT_ID": w.world.Env.Config.GCPProject, "GCP_ZONE": w.world.Env.Config.GCPZone,
		"GCP_IMAGE_FAMILY": "mero-tee", "GHCR_REGISTRY": "ghcr.io/calimero-network",
		"PHALA_DSTACK_URL": w.world.Env.DstackURL, "ITA_API_URL": "https://api.trustauthority.intel.com",
		"COMPATIBILITY_CATALOG_PATH": "catalog/compatibility-catalog.json", "MERO_KMS_PROFILE": "locked-read-only",
	}
	w.secrets = map[string]string{"GCP_SERVICE_ACCOUNT_KEY": string(key), "ITA_API_KEY": w.world.Env.ITA.Key.Reveal(),
		"PHALA_CLOUD_API_KEY": w.world.Env.DstackKey.Reveal(), "GHCR_TOKEN": owner}
	w.machine = w.hosted()
	w.decide(reviewer)
	w.reviewed = map[string]actions.Environment{}
	w.protect(nil)
	w.service = actions.New(actions.Options{
		Repository: config.DefaultRepository, Source: w.origin, Dir: filepath.Join(w.dir, "runs"), Actor: maintainer,
		Vars: w.vars, Secrets: w.secrets, Machine: w.machine,
		Environments: w.reviewed, Record: record{w.world.GitHub()},
		Token:    func(j *actions.Job) string { return w.token(j.Permissions()) },
		Identity: w.identity,
		Log:      func(line string) { fmt.Fprintln(w, line) },
	})
	require.NoError(w.t, w.world.Network.Handle(actions.IdentityHost, w.service))
}

// protect sets the environment of promotions up, for the runs and for GitHub's
// API, as docs/releasing.md has it and then as change wants it.
func (w *walk) protect(change func(*actions.Environment)) {
	e := actions.Environment{Tags: []string{"mero-kms-v*", "mero-tee-v*"}, Reviewers: []string{maintainer, reviewer},
		Approve: func(context.Context, *actions.Run) string { maps.Copy(w.vars, w.moving); return w.decision }}
	if change != nil {
		change(&e)
	}
	w.reviewed[clearance.Environment] = e
	w.world.GitHub().Change(func(s *github.Settings) {
		s.Environments[clearance.Environment] = github.Environment{Reviewers: e.Reviewers,
			PreventSelfReview: !e.SelfReview, TagPatterns: true}
		s.Environments["staging"] = github.Environment{Reviewers: []string{reviewer}}
	})
}

// record tells GitHub's API of runs.
type record struct{ *github.Server }

func (r record) Started(workflow, tag, commit, actor string) (int, error) {
	id, err := r.StartRun(github.Run{Workflow: workflow, Tag: tag, Commit: commit, Actor: actor})
	return int(id), err
}

func (r record) RunAgain(id int, by string) error { return r.Rerun(int64(id), by) }

func (r record) Reviewed(id int, environment, by string, approved bool) error {
	state := "rejected"
	if approved {
		state = "approved"
	}
	return r.Review(int64(id), github.Review{Environment: environment, By: by, State: state, Comment: "as walked"})
}

// token is a job's, and good for what the job may do.
func (w *walk) token(permissions map[string]string) string {
	token, err := w.world.JobToken(permissions)
	require.NoError(w.t, err)
	return token
}

// hosted is a machine as GitHub hosts them: Go with its caches, and programs that
// stand for what would take long and prove nothing here.
func (w *walk) hosted() actions.Machine {
	proxy, err := w.world.Network.Proxy()
	require.NoError(w.t, err)
	certificate := filepath.Join(w.dir, "network.pem")
	require.NoError(w.t, os.WriteFile(certificate, proxy.CertificatePEM, 0o600))
	program, err := exec.LookPath("go")
	require.NoError(w.t, err)
	bin := filepath.Join(w.dir, "bin")
	require.NoError(w.t, os.Mkdir(bin, 0o755))
	for name, script := range map[string]string{
		// The same program for all: compiling it for each job takes minutes.
		"go": `if [ "$1 $2 $3" = "tool mage -compile" ]; then exec cp "` + w.mage + `" "$4"; fi
exec "` + program + `" "$@"`,
		"sudo": `echo "as root: $*"`,
	} {
		require.NoError(w.t, os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700))
	}
	env := []string{"SSL_CERT_FILE=" + certificate, "WALK_ROOTS=" + w.roots(),
		"NO_PROXY=" + w.modules()}
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPROXY", "GOSUMDB", "GOTOOLCHAIN"} {
		env = append(env, name+"="+goEnv(w.t, name))
	}
	return actions.Machine{Env: append(env, "GOFLAGS=-trimpath"), Path: bin, Proxy: proxy.URL, Home: shareTools}
}

// shareTools gives a new machine the programs that were compiled here before, and nothing else of a cache.
func shareTools(home string) error {
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	tools := filepath.Join("mero-tee", "tools")
	there, here := filepath.Join(cache, tools), filepath.Join(home, ".cache", tools)
	return errors.Join(os.MkdirAll(there, 0o755), os.MkdirAll(filepath.Dir(here), 0o755), os.Symlink(there, here))
}

// modules are the hosts of Go modules, in case a tool was never compiled here.
func (w *walk) modules() string {
	var hosts []string
	between := func(r rune) bool { return r == ',' || r == '|' }
	for address := range strings.FieldsFuncSeq(goEnv(w.t, "GOPROXY"), between) {
		if u, err := url.Parse(address); err == nil && u.Host != "" {
			hosts = append(hosts, u.Hostname())
		}
	}
	return strings.Join(append(hosts, goEnv(w.t, "GOSUMDB")), ",")
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

// roots is the file with whom the program of the walk believes.
func (w *walk) roots() string {
	importer := httptest.NewServer(http.HandlerFunc(w.importImage))
	w.t.Cleanup(importer.Close)
	data, err := json.Marshal(map[string]string{
		"TDX": hex.EncodeToString(w.world.Env.TDXRoot[:]), "ITA": hex.EncodeToString(w.world.Env.ITA.Root[:]),
		"Google":   hex.EncodeToString(w.world.Env.GoogleRoot[:]),
		"Platform": w.world.Env.PlatformFile, "Banner": rehearsal.Banner,
		"Sigstore": string(w.world.Env.Sigstore.Root), "Import": importer.URL})
	require.NoError(w.t, err)
	file := filepath.Join(w.dir, "roots.json")
	require.NoError(w.t, os.WriteFile(file, data, 0o600))
	return file
}

// importImage is what Packer would have left in the project.
func (w *walk) importImage(rw http.ResponseWriter, r *http.Request) {
	var i inprocess.Image
	data, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(data, &i)
	}
	if err == nil {
		err = w.world.Simulated(i.Version, "").Import(i)
	}
	if err != nil {
		http.Error(rw, err.Error(), http.StatusInternalServerError)
	}
}

// identity is what GitHub vouches for.
func (w *walk) identity(ctx context.Context, c actions.Claims, audience string) (string, error) {
	s, err := w.world.Sigstore()
	if err != nil {
		return "", err
	}
	url := s.TokenURL(c.Repository, c.Workflow, c.Ref, c.SHA)
	return sign.RequestToken(http.DefaultClient, url, s.Bearer(), audience)(ctx)
}

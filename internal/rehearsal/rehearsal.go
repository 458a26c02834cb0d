// Package rehearsal is the local world: the outside systems of a release,
// answered on loopback under their production names.
//
// Its promise: it is an environment and not a mode. The pipeline speaks to it
// with the same clients and protocols as to the real ones; no request leaves
// the machine; what it keeps are plain files under dist/rehearsal; and no
// process of it outlives the command.
package rehearsal

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/chroot"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/storage"
	"github.com/calimero-network/mero-tee/internal/rehearsal/github"
	"github.com/calimero-network/mero-tee/internal/rehearsal/ita"
	"github.com/calimero-network/mero-tee/internal/rehearsal/network"
	"github.com/calimero-network/mero-tee/internal/rehearsal/sigstore"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// Banner is what anything made here says of itself.
const Banner = "REHEARSAL: made on one machine with simulated hardware and local trust roots; not for use"

const (
	token      = "rehearsal"                   // of the repository's owner, registry and dstack; nothing leaves loopback
	itaKey     = "cmVoZWFyc2Fs"                // base64, as Intel's keys are
	dstackHost = "cloud-api.rehearsal.invalid" // the provider's API
)

// World is the running rehearsal. Close it.
type World struct {
	Env     *environment.Environment
	State   string // folder of everything that is kept
	Network *network.Network

	console  *console.Console
	github   *github.Server
	review   func(run int64) error // stands for the people who decide about a promotion
	pki      *tdxsim.PKI
	platform *tdxsim.Platform // of the cloud's machines
	pcs      *tdxsim.PCS      // what Intel's service says of both
	under    *tdxsim.Platform // of the key services' host, which is another provider's
	cloud    func() (*gce.Server, error)
	bucket   *storage.Server              // where Google endorses the cloud's firmware
	chroots  func() (*chroot.Host, error) // that run what is built
	base     func() error                 // the base image of builds is there
	sshPort  int                          // of build VMs; set when the cloud is up
	sigstore func() (*sigstore.Instance, error)

	mu       sync.Mutex
	closers  []func() error
	standIns []standIns // of each work tree that images are made of
}

// Open starts what is cheap to start; Sigstore's processes follow on first use.
// cfg is the process's configuration; the world fills in what the repository's
// variables would say.
func Open(ctx context.Context, root, dist string, cfg *config.Config, c *console.Console) (*World, error) {
	w := &World{State: filepath.Join(dist, "rehearsal"), Network: network.New(), console: c}
	w.review = w.approve
	w.sigstore = sync.OnceValues(func() (*sigstore.Instance, error) { return w.startSigstore(ctx) })
	w.Env = &environment.Environment{Settings: environment.Settings{
		Config: cfg, Root: root, Dist: dist, Banner: Banner,
		Transport: w.Network.Transport(),
		DstackURL: "https://" + dstackHost + "/api/v1", DstackKey: token,
		PlatformFile: filepath.Join(root, "internal/rehearsal/dstack/platforms.json"),
		Checkout:     w.checkout, Run: w.workflowRun, Able: w.able,
		Signing: w.signing, Trust: w.trust, Nodes: w.bootNodes, Cloud: w.cloudClient,
	}}
	if err := w.start(ctx); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

func (w *World) start(ctx context.Context) error {
	w.closing(w.Network.Close)
	for _, f := range []func() error{w.lock, w.startTDX, w.startITA, w.startGitHub, w.startRegistry,
		w.announceSigstore, w.startDstack,
		func() error { return w.startCloud(ctx) }, func() error { return w.startImages(ctx) }} {
		if err := f(); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// lock keeps a second process out: the servers' files have one writer.
func (w *World) lock() error {
	if err := os.MkdirAll(w.State, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(w.State, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	w.closing(f.Close)
	if err := file.TryLock(f); err != nil {
		return &fault.Error{Code: fault.General, Message: "another command is using the rehearsal in " + w.State, Err: err,
			Hint: "wait until it ends, or stop `mage rehearse:up`"}
	}
	return nil
}

// startTDX derives the simulated hardware from a seed of this rehearsal, so
// that no other rehearsal's quotes are believed here.
func (w *World) startTDX() error {
	seed, err := w.secret("tdx.seed")
	if err != nil {
		return err
	}
	if w.pki, err = tdxsim.NewPKI(seed); err != nil {
		return err
	}
	if w.platform, err = w.pki.NewPlatform(0); err != nil {
		return err
	}
	w.Env.TDXRoot = w.pki.RootSHA256()
	if w.under, err = w.pki.NewPlatform(1); err != nil {
		return err
	}
	w.pcs = tdxsim.NewPCS(w.pki, time.Now, w.platform, w.under)
	return w.handle(w.pcs, tdxsim.Hosts()...)
}

// startGitHub starts GitHub with the settings that docs/releasing.md asks for.
func (w *World) startGitHub() error {
	h, err := github.New(github.Options{Dir: filepath.Join(w.State, "github"), Repository: w.Env.Config.Repository,
		Token: token, ActionsOpenPulls: true, Settings: github.Documented(maintainer, reviewer)})
	if err != nil {
		return err
	}
	w.github = h
	job, err := w.JobToken(JobPermissions())
	if err != nil {
		return err
	}
	w.askAs(job)
	return w.handle(h, github.Hosts()...)
}

// Pages serves the local GitHub's pages to browsers of this machine as long as
// the world lives. The address is that of the list of releases.
func (w *World) Pages() (string, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return "", errors.Join(err, l.Close())
	}
	w.closing(network.Serve(l, w.github.Browser("127.0.0.1:"+port, "localhost:"+port)).Close)
	return fmt.Sprintf("http://127.0.0.1:%s/%s/releases", port, w.Env.Config.Repository), nil
}

// JobPermissions are those of the release workflows' jobs together.
func JobPermissions() map[string]string {
	return map[string]string{"actions": "read", "checks": "read", "contents": "write", "id-token": "write",
		"packages": "write", "pull-requests": "write", "statuses": "read"}
}

// JobToken is the local GitHub's token for a job with the permissions that its
// workflow's file says. A command that is given it as GITHUB_TOKEN uses it.
func (w *World) JobToken(permissions map[string]string) (string, error) {
	return w.github.JobToken(permissions)
}

// askAs lets the environment ask GitHub and its registry with the configured
// tokens, if they are some that the local GitHub knows, else with this one.
func (w *World) askAs(token string) {
	w.Env.GitHubToken = config.Secret(token)
	if given := w.Env.Config.GitHubToken; w.github.Knows(given.Reveal()) {
		w.Env.GitHubToken = given
	}
	password := w.Env.GitHubToken
	if given := w.Env.Config.RegistryToken; w.github.Knows(given.Reveal()) {
		password = given
	}
	w.Env.RegistryAuth = &authn.Basic{Username: "rehearsal", Password: password.Reveal()}
}

// AskAsOwner lets the environment ask GitHub as the repository's owner, for what
// people do at their own machines. It has to come before the first request.
func (w *World) AskAsOwner() { w.askAs(token) }

func (w *World) handle(h http.Handler, hosts ...string) error {
	for _, host := range hosts {
		if err := w.Network.Handle(host, h); err != nil {
			return err
		}
	}
	return nil
}

// Hosts are the production names that are answered here.
func (w *World) Hosts() []string {
	return slices.Concat(github.Hosts(), []string{registryHost(w.Env.Config), dstackHost}, tdxsim.Hosts(), ita.Hosts(),
		storage.Hosts(), sigstoreHosts, []string{sigstore.TUFHost})
}

// secret reads 32 bytes kept under name, making them at first. It refuses what
// other users of the machine may read.
func (w *World) secret(name string) ([]byte, error) {
	path := filepath.Join(w.State, name)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		b := make([]byte, 32)
		_, _ = rand.Read(b) // never fails
		return b, file.Write(path, b, 0o600)
	}
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 || info.Size() != 32 {
		return nil, &fault.Error{Code: fault.General, Message: "the secret " + path + " is not usable",
			Expected: "32 bytes, mode 600", Got: fmt.Sprintf("%d bytes, mode %o", info.Size(), info.Mode().Perm())}
	}
	return os.ReadFile(path)
}

func (w *World) closing(f func() error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closers = append(w.closers, f)
}

// Close stops everything, the last started first, and waits for it.
func (w *World) Close() error {
	w.mu.Lock()
	closers := w.closers
	w.closers = nil
	w.mu.Unlock()
	var errs []error
	for i := len(closers) - 1; i >= 0; i-- {
		errs = append(errs, closers[i]())
	}
	return errors.Join(errs...)
}

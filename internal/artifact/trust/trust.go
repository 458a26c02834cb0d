// Package trust learns whom to believe: Sigstore's trusted root and signing
// config, over TUF.
//
// Its promise: what it returns is signed under a root that descends, version by
// version, from the one that it was given; it has not expired, and is no older
// than what was seen before. It goes through the given transport and keeps what
// it saw in the given folder; no environment variable and no file of another
// program adds to it. What could not be asked is never called bad.
package trust

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/tuf"
	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
)

// Mirror is where Sigstore publishes; a rehearsal answers under the same name.
const Mirror = tuf.DefaultMirror

// The repository's files that we read.
const (
	RootTarget    = "trusted_root.json"
	SigningTarget = "signing_config.v0.2.json"
)

// PublicRoot is the root metadata of Sigstore's public instance that sigstore-go
// carries; newer roots are followed from it.
func PublicRoot() []byte { return tuf.DefaultRoot() }

// Options say where to begin and how to ask.
type Options struct {
	Root      []byte                                           // the root metadata that everything descends from
	Cache     string                                           // a folder of ours; made if it is missing
	Transport http.RoundTripper                                // required
	Now       func() time.Time                                 // nil means time.Now
	Wait      func(ctx context.Context, d time.Duration) error // between attempts; nil means retry.For
}

// Repository is a TUF repository of Sigstore's. It is asked once, at first use,
// and safe for concurrent use.
type Repository struct {
	Options
	mu   sync.Mutex
	view *view
}

// New asks nothing yet.
func New(o Options) *Repository {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Repository{Options: o}
}

// view is the repository as it was seen.
type view struct {
	updater *updater.Updater
	fetcher *fetcher
	status  Status
}

// Status says what an answer rests on.
type Status struct {
	Root     int64     // version of the root metadata
	RootEnds time.Time // when it expires
	Ends     time.Time // when the timestamp expires: from then on the repository must be asked again
	Unasked  error     // why the copy of an earlier look was taken; nil when the repository was asked
}

// Status asks for the metadata alone.
func (r *Repository) Status(ctx context.Context) (Status, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, err := r.look(ctx)
	if err != nil {
		return Status{}, err
	}
	return v.status, nil
}

// TrustedRoot is whom a verifier believes. When the repository cannot be asked,
// and no copy of an earlier look is valid, the error's code is General; when its
// answer cannot be believed, Verification.
func (r *Repository) TrustedRoot(ctx context.Context) (root.TrustedMaterial, error) {
	tm, err := target(ctx, r, RootTarget, root.NewTrustedRootFromJSON)
	if err != nil {
		return nil, err // a nil *TrustedRoot must not become a TrustedMaterial that is not nil
	}
	return tm, nil
}

// TrustedRootFile is the trusted root as its repository holds it, for a verifier
// that will have no network. Its errors are those of TrustedRoot.
func (r *Repository) TrustedRootFile(ctx context.Context) ([]byte, error) {
	return target(ctx, r, RootTarget, func(raw []byte) ([]byte, error) {
		_, err := root.NewTrustedRootFromJSON(raw)
		return raw, err
	})
}

// SigningConfig is where a signer goes. Its errors are those of TrustedRoot.
func (r *Repository) SigningConfig(ctx context.Context) (*root.SigningConfig, error) {
	return target(ctx, r, SigningTarget, root.NewSigningConfigFromJSON)
}

func target[T any](ctx context.Context, r *Repository, name string, parse func([]byte) (T, error)) (T, error) {
	var none T
	r.mu.Lock()
	defer r.mu.Unlock()
	v, err := r.look(ctx)
	if err != nil {
		return none, err
	}
	raw, err := v.read(ctx, name)
	if err != nil {
		return none, err
	}
	t, err := parse(raw)
	if err != nil {
		return none, unbelieved("a "+name+" that can be read", err)
	}
	return t, nil
}

// read returns a target's bytes: from the folder, if they are those that the metadata names.
func (v *view) read(ctx context.Context, name string) ([]byte, error) {
	info, err := v.updater.GetTargetInfo(name)
	if err != nil {
		return nil, unbelieved("a target "+name, err)
	}
	if path, raw, err := v.updater.FindCachedTarget(info, ""); err == nil && path != "" {
		return raw, nil
	}
	v.fetcher.begin(ctx)
	_, raw, err := v.updater.DownloadTarget(info, "", "")
	switch {
	case err == nil:
		return raw, nil
	case v.fetcher.unasked != nil:
		return nil, unreached(v.fetcher.unasked, "no copy of "+name)
	}
	return nil, unbelieved("the "+name+" that the metadata names", err)
}

// look refreshes the metadata, or takes the copy of an earlier look that is still valid.
func (r *Repository) look(ctx context.Context) (*view, error) {
	if r.view != nil {
		return r.view, nil
	}
	base, err := r.newestRoot()
	if err != nil {
		return nil, err
	}
	f := &fetcher{client: &http.Client{Transport: r.Transport, Timeout: deadline}, wait: r.Wait,
		roots: map[string][]byte{}}
	_, err = os.Stat(filepath.Join(r.folder(), metadata.TIMESTAMP+".json"))
	f.copied = err == nil
	f.begin(ctx)
	v := &view{fetcher: f}
	if v.updater, err = r.refresh(base, f, false); err != nil && f.unasked != nil {
		v.status.Unasked = f.unasked
		if v.updater, err = r.refresh(base, f, true); err != nil {
			return nil, unreached(f.unasked, noCopy(err))
		}
	} else if err != nil {
		return nil, unbelieved("metadata signed under its root, not expired, and no older than before", err)
	}
	if err := r.keep(f.roots); err != nil {
		return nil, err
	}
	trusted := v.updater.GetTrustedMetadataSet()
	v.status.Root, v.status.RootEnds = trusted.Root.Signed.Version, trusted.Root.Signed.Expires
	v.status.Ends = trusted.Timestamp.Signed.Expires
	r.view = v
	return v, nil
}

func (r *Repository) refresh(base []byte, f *fetcher, local bool) (*updater.Updater, error) {
	cfg, err := config.New(Mirror, base)
	if err != nil {
		return nil, err
	}
	cfg.LocalMetadataDir, cfg.LocalTargetsDir = r.folder(), filepath.Join(r.folder(), "targets")
	cfg.Fetcher, cfg.UnsafeLocalMode = f, local
	if err := removeDamaged(cfg.LocalMetadataDir); err != nil {
		return nil, err
	}
	u, err := updater.New(cfg)
	if err != nil {
		return nil, err
	}
	u.UnsafeSetRefTime(r.Now()) // called unsafe because only tests should have another clock; ours is the system's
	return u, u.Refresh()
}

// removeDamaged removes copies that are no JSON, such as a full disk leaves: go-tuf gives up on them.
func removeDamaged(folder string) error {
	for _, role := range []string{metadata.TIMESTAMP, metadata.SNAPSHOT, metadata.TARGETS} {
		path := filepath.Join(folder, role+".json")
		raw, err := file.Read(path, maxCopy)
		if errors.Is(err, fs.ErrNotExist) || err == nil && json.Valid(raw) {
			continue
		}
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

// folder is one for each root to begin with, so that two environments never share what they saw.
func (r *Repository) folder() string {
	sum := sha256.Sum256(r.Root)
	return filepath.Join(r.Cache, fmt.Sprintf("%x", sum[:8]))
}

const maxCopy = 5000000 // bytes, go-tuf's largest

func (r *Repository) rootFile(name string) string { return filepath.Join(r.folder(), "roots", name) }

// newestRoot walks from the given root through those that were seen, each of
// which its predecessor must vouch for. go-tuf alone begins at the given one
// each time, so that without the network it could not use what a newer one signed.
func (r *Repository) newestRoot() ([]byte, error) {
	newest := r.Root
	trusted, err := trustedmetadata.New(newest)
	if err != nil {
		return nil, &fault.Error{Code: fault.Usage, Message: "the TUF root to begin with", Err: err}
	}
	for {
		next, ok := r.successor(trusted)
		if !ok {
			return newest, nil
		}
		newest = next
	}
}

// successor makes the next root that was seen the trusted one, if that vouches for it.
func (r *Repository) successor(trusted *trustedmetadata.TrustedMetadata) (raw []byte, ok bool) {
	raw, err := file.Read(r.rootFile(rootName(trusted.Root.Signed.Version+1)), maxCopy)
	if err == nil {
		_, err = trusted.UpdateRoot(raw)
	}
	return raw, err == nil // what is missing or damaged is fetched again
}

func rootName(version int64) string { return fmt.Sprintf("%d.root.json", version) }

// keep writes the roots that the updater has followed.
func (r *Repository) keep(roots map[string][]byte) error {
	for name, raw := range roots {
		if err := file.Write(r.rootFile(name), raw, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func unbelieved(expected string, err error) error {
	return &fault.Error{Code: fault.Verification, Message: "Sigstore's TUF repository is not to be believed",
		Expected: expected, Got: err.Error(),
		Hint: "compare this machine's clock; if it is right, do not go on, and ask Sigstore"}
}

func noCopy(err error) string {
	if errors.Is(err, fs.ErrNotExist) {
		return "no copy of an earlier one"
	}
	return "a copy that is not valid: " + err.Error()
}

func unreached(err error, got string) error {
	return &fault.Error{Code: fault.General, Message: "Sigstore's TUF repository could not be asked", Err: err,
		Expected: "an answer of " + Mirror + ", or a valid copy of an earlier one", Got: got,
		Hint: "check the network and ask again; nothing is said about any signature"}
}

package sigstore

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	_ "embed"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/calimero-network/mero-tee/internal/base/file"
)

// TUFHost is the name under which clients look for the repository.
const TUFHost = "tuf-repo-cdn.sigstore.dev"

// Whoever signs, and for how long, is as in the public repository (root version
// 15): three of five people the root and the targets, one online key the rest.
const (
	people    = 5
	threshold = 3

	rootLasts      = 197 * 24 * time.Hour
	targetsLast    = 3650 * 24 * time.Hour
	timestampLasts = 7 * 24 * time.Hour
	rootRenewed    = 46 * 24 * time.Hour // before its end
)

// TUF is a TUF repository with consistent snapshots, kept in a folder: what
// tells Sigstore's clients whom to believe. It is safe for concurrent use.
type TUF struct {
	dir string
	now func() time.Time
	mu  sync.Mutex
}

// SigningConfig is the one that the repository publishes: the public instance's
// services under their public names, of which Rekor is v1 (2026-08-21).
//
//go:embed signing_config.json
var SigningConfig []byte

// OpenTUF makes the keys and the first root if there are none, and renews a root that is about to end.
func OpenTUF(dir string, now func() time.Time) (*TUF, error) {
	t := &TUF{dir: dir, now: now}
	version, err := t.latest(metadata.ROOT)
	if err != nil {
		return nil, err
	}
	if version == 0 {
		return t, t.newRoot(nil)
	}
	current, err := read(metadata.Root(), t.file("%d.root.json", version))
	if err == nil && current.Signed.Expires.Sub(now()) < rootRenewed {
		err = t.newRoot(current)
	}
	return t, err
}

// InitialRoot is the root metadata that a client begins with: version 1.
func (t *TUF) InitialRoot() ([]byte, error) { return os.ReadFile(t.file("1.root.json")) }

func person(i int) string { return "person-" + strconv.Itoa(i) }

func (t *TUF) key(name string) string { return filepath.Join(t.dir, "keys", name+".pem") }

func (t *TUF) file(format string, args ...any) string {
	return filepath.Join(t.dir, "repository", filepath.FromSlash(fmt.Sprintf(format, args...)))
}

// newRoot writes the version after current, nil for the first one.
func (t *TUF) newRoot(current *metadata.Metadata[metadata.RootType]) error {
	next, signers := metadata.Root(t.now().Add(rootLasts)), []string{}
	for i := 1; i <= people; i++ {
		key, err := t.public(person(i))
		if err != nil {
			return err
		}
		for _, role := range []string{metadata.ROOT, metadata.TARGETS} {
			if err := next.Signed.AddKey(key, role); err != nil {
				return err
			}
		}
		if i <= threshold {
			signers = append(signers, person(i))
		}
	}
	online, err := t.public("online")
	if err != nil {
		return err
	}
	for _, role := range []string{metadata.SNAPSHOT, metadata.TIMESTAMP} {
		if err := next.Signed.AddKey(online, role); err != nil {
			return err
		}
	}
	next.Signed.ConsistentSnapshot = true
	next.Signed.Roles[metadata.ROOT].Threshold, next.Signed.Roles[metadata.TARGETS].Threshold = threshold, threshold
	if current != nil {
		next.Signed.Version = current.Signed.Version + 1
		signers = append(signers, person(threshold+1)) // with the two that stay, enough of the old ones
	}
	return write(t, next, t.file("%d.root.json", next.Signed.Version), signers...)
}

// public is a key's public half; the key is made if it is missing.
func (t *TUF) public(name string) (*metadata.Key, error) {
	private, err := t.private(name)
	if err != nil {
		return nil, err
	}
	return metadata.KeyFromPublicKey(private.Public())
}

func (t *TUF) private(name string) (*ecdsa.PrivateKey, error) {
	raw, err := os.ReadFile(t.key(name))
	if errors.Is(err, fs.ErrNotExist) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		der, err := x509.MarshalECPrivateKey(key)
		if err != nil {
			return nil, err
		}
		return key, file.Write(t.key(name), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600)
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, fmt.Errorf("%s holds no key", t.key(name))
	}
	return x509.ParseECPrivateKey(block.Bytes)
}

// latest is the newest version of a role's metadata, 0 when there is none.
func (t *TUF) latest(role string) (newest int64, err error) {
	entries, err := os.ReadDir(t.file("."))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	for _, e := range entries {
		if m := versioned.FindStringSubmatch(e.Name()); m != nil && m[2] == role {
			version, err := strconv.ParseInt(m[1], 10, 64)
			if err != nil {
				return 0, err
			}
			newest = max(newest, version)
		}
	}
	return newest, err
}

var versioned = regexp.MustCompile(`^([1-9][0-9]{0,9})\.(root|snapshot|targets)\.json$`)

// Publish makes these files the targets, and signs a new timestamp, which the
// public repository does every day or two.
func (t *TUF) Publish(targets map[string][]byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.publish(targets, false)
}

func (t *TUF) publish(targets map[string][]byte, again bool) error {
	signed := metadata.Targets(t.now().Add(targetsLast))
	for name, content := range targets {
		info, err := metadata.TargetFile().FromBytes(name, content, "sha256")
		if err != nil {
			return err
		}
		signed.Signed.Targets[name] = info
		sum := sha256.Sum256(content)
		if err := file.Write(t.file("targets/%x.%s", sum, name), content, 0o644); err != nil {
			return err
		}
	}
	version, err := t.latest(metadata.TARGETS)
	if err != nil {
		return err
	}
	if version == 0 || again || !t.same(version, signed) {
		version++
		if err := t.newTargets(version, signed); err != nil {
			return err
		}
	}
	return t.stamp(version)
}

func (t *TUF) same(version int64, other *metadata.Metadata[metadata.TargetsType]) bool {
	current, err := read(metadata.Targets(), t.file("%d.targets.json", version))
	if err != nil || len(current.Signed.Targets) != len(other.Signed.Targets) {
		return false
	}
	for name, info := range other.Signed.Targets {
		if has := current.Signed.Targets[name]; has == nil || !has.Equal(*info) {
			return false
		}
	}
	return true
}

// newTargets writes targets and the snapshot that names them; the two versions go together here.
func (t *TUF) newTargets(version int64, targets *metadata.Metadata[metadata.TargetsType]) error {
	targets.Signed.Version = version
	err := write(t, targets, t.file("%d.targets.json", version), person(1), person(2), person(3))
	if err != nil {
		return err
	}
	snapshot := metadata.Snapshot(t.now().Add(targetsLast))
	snapshot.Signed.Version = version
	snapshot.Signed.Meta["targets.json"] = metadata.MetaFile(version)
	return write(t, snapshot, t.file("%d.snapshot.json", version), "online")
}

// stamp writes the next timestamp.json.
func (t *TUF) stamp(snapshot int64) error {
	next := metadata.Timestamp(t.now().Add(timestampLasts))
	if current, err := read(metadata.Timestamp(), t.file("timestamp.json")); err == nil {
		next.Signed.Version = current.Signed.Version + 1
	}
	next.Signed.Meta["snapshot.json"] = metadata.MetaFile(snapshot)
	return write(t, next, t.file("timestamp.json"), "online")
}

func read[T metadata.Roles](into *metadata.Metadata[T], path string) (*metadata.Metadata[T], error) {
	return into.FromFile(path)
}

// write signs in the names of the keys, and puts the file there in one step.
func write[T metadata.Roles](t *TUF, m *metadata.Metadata[T], path string, signers ...string) error {
	for _, name := range signers {
		key, err := t.private(name)
		if err != nil {
			return err
		}
		signer, err := signature.LoadECDSASigner(key, crypto.SHA256)
		if err != nil {
			return err
		}
		if _, err := m.Sign(signer); err != nil {
			return err
		}
	}
	if len(signers) >= threshold {
		if err := unsigned(t, m, signers); err != nil {
			return err
		}
	}
	raw, err := m.ToBytes(true)
	if err != nil {
		return err
	}
	return file.Write(path, raw, 0o644)
}

// unsigned adds empty signatures of the people who did not sign, as the public metadata has them.
func unsigned[T metadata.Roles](t *TUF, m *metadata.Metadata[T], signers []string) error {
	for i := 1; i <= people; i++ {
		if slices.Contains(signers, person(i)) {
			continue
		}
		key, err := t.public(person(i))
		if err != nil {
			return err
		}
		id, err := key.ID()
		if err != nil {
			return err
		}
		m.Signatures = append(m.Signatures, metadata.Signature{KeyID: id, Signature: metadata.HexBytes{}})
	}
	return nil
}

var served = regexp.MustCompile(
	`^/(timestamp\.json|[1-9][0-9]{0,9}\.(root|snapshot|targets)\.json|targets/[0-9a-f]{64}\.[a-z0-9_.-]{1,64})$`)

// ServeHTTP answers as a bucket does: files by name, of metadata the versioned ones alone.
func (t *TUF) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(w, "", http.StatusMethodNotAllowed)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if m := served.FindStringSubmatch(r.URL.Path); m != nil {
		if raw, err := os.ReadFile(t.file("%s", m[1])); err == nil {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(raw) // the client went away
			return
		}
	}
	w.Header().Set("Content-Type", "application/xml; charset=UTF-8")
	w.WriteHeader(http.StatusNotFound)
	_, _ = fmt.Fprint(w, `<?xml version='1.0' encoding='UTF-8'?><Error><Code>NoSuchKey</Code></Error>`)
}

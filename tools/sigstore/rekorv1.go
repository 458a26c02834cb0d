package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/cyberphone/json-canonicalization/go/src/webpki.org/jsoncanonicalizer"
	"github.com/go-openapi/runtime"
	"github.com/go-openapi/strfmt"
	"github.com/sigstore/rekor/pkg/generated/models"
	"github.com/sigstore/rekor/pkg/types"
	_ "github.com/sigstore/rekor/pkg/types/hashedrekord/v0.0.1" // the entry type of a signed file
	"github.com/sigstore/rekor/pkg/util"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/merkle/testonly"
)

const (
	rekorV1Origin = "rekor-v1.rehearsal.test"
	rekorV1TreeID = 1
)

// rekorV1 is the log that Sigstore's public instance still names by default:
// Rekor's own entry types, checks, checkpoints and signed entry timestamps. Its
// server needs MySQL and Trillian; here leaves lie in a file and the tree in memory.
type rekorV1 struct {
	signer *signature.ECDSASigner
	der    []byte // the public key
	id     [32]byte

	mu     sync.Mutex
	leaves *leafFile
	tree   *testonly.Tree // upstream's one in-memory tree that gives inclusion proofs
}

func newRekorV1(s store, dir string) (*rekorV1, error) {
	key, err := s.key("rekor-v1", newP256)
	if err != nil {
		return nil, err
	}
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("the rekor-v1 key is a %T", key)
	}
	signer, err := signature.LoadECDSASigner(private, crypto.SHA256)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	l := &rekorV1{signer: signer, der: der, id: sha256.Sum256(der), tree: testonly.New(rfc6962.DefaultHasher)}
	l.leaves, err = openLeaves(dir, func(leaf []byte) { l.tree.AppendData(leaf) })
	return l, err
}

// ServeHTTP answers createLogEntry, the one call that a signer makes.
func (l *rekorV1) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.URL.Path != "/api/v1/log/entries" {
		http.NotFound(w, r)
		return
	}
	body, err := canonicalEntry(r)
	if err != nil {
		writeJSON(w, http.StatusBadRequest, models.Error{Code: http.StatusBadRequest, Message: err.Error()})
		return
	}
	uuid, entry, err := l.add(r.Context(), body, time.Now())
	if err != nil {
		writeJSON(w, http.StatusInternalServerError, models.Error{Code: http.StatusInternalServerError, Message: err.Error()})
		return
	}
	w.Header().Set("ETag", uuid)
	w.Header().Set("Location", "/api/v1/log/entries/"+uuid)
	writeJSON(w, http.StatusCreated, models.LogEntry{uuid: *entry})
}

// canonicalEntry reads the proposed entry; Rekor's own code refuses one whose signature does not verify.
func canonicalEntry(r *http.Request) ([]byte, error) {
	proposed, err := models.UnmarshalProposedEntry(r.Body, runtime.JSONConsumer())
	if err != nil {
		return nil, err
	}
	entry, err := types.CreateVersionedEntry(proposed)
	if err != nil {
		return nil, err
	}
	return types.CanonicalizeEntry(r.Context(), entry)
}

func (l *rekorV1) add(ctx context.Context, body []byte, now time.Time) (string, *models.LogEntryAnon, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.leaves.append(body); err != nil {
		return "", nil, err
	}
	index := int64(l.tree.Size()) //nolint:gosec // nobody adds 2^63 leaves
	seconds, id := now.Unix(), hex.EncodeToString(l.id[:])
	l.tree.AppendData(body)
	proof, err := l.proof(ctx, index)
	if err != nil {
		return "", nil, err
	}
	e := &models.LogEntryAnon{Body: body, IntegratedTime: &seconds, LogID: &id, LogIndex: &index}
	promise, err := l.promise(e)
	e.Verification = &models.LogEntryAnonVerification{SignedEntryTimestamp: promise, InclusionProof: proof}
	uuid := fmt.Sprintf("%016x%x", rekorV1TreeID, rfc6962.DefaultHasher.HashLeaf(body))
	return uuid, e, err
}

// proof shows that the newest leaf is in the tree, under a signed checkpoint.
func (l *rekorV1) proof(ctx context.Context, index int64) (*models.InclusionProof, error) {
	size, root := l.tree.Size(), l.tree.Hash()
	path, err := l.tree.InclusionProof(size-1, size)
	if err != nil {
		return nil, err
	}
	checkpoint, err := util.CreateAndSignCheckpoint(ctx, rekorV1Origin, rekorV1TreeID, size, root, l.signer)
	if err != nil {
		return nil, err
	}
	hashes := make([]string, 0, len(path))
	for _, h := range path {
		hashes = append(hashes, hex.EncodeToString(h))
	}
	note, rootHex, treeSize := string(checkpoint), hex.EncodeToString(root), index+1
	return &models.InclusionProof{Checkpoint: &note, Hashes: hashes, LogIndex: &index, RootHash: &rootHex,
		TreeSize: &treeSize}, nil
}

// promise is the signed entry timestamp: a signature over the canonical JSON of the entry.
func (l *rekorV1) promise(e *models.LogEntryAnon) (strfmt.Base64, error) {
	raw, err := e.MarshalBinary()
	if err != nil {
		return nil, err
	}
	canonical, err := jsoncanonicalizer.Transform(raw)
	if err != nil {
		return nil, err
	}
	return l.signer.SignMessage(bytes.NewReader(canonical))
}

// leafFile keeps a log's leaves, one base64 line each, so that a log continues where it ended.
type leafFile struct{ f *os.File }

// openLeaves hands every leaf kept in dir to each, oldest first. A last line
// without its newline was never answered for: it is cut off.
func openLeaves(dir string, each func(leaf []byte)) (*leafFile, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "leaves"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	var whole int64
	for r := bufio.NewReader(f); ; {
		line, err := r.ReadBytes('\n')
		if err != nil {
			break
		}
		leaf, err := base64.StdEncoding.DecodeString(string(line[:len(line)-1]))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("leaf at byte %d of %s: %w", whole, f.Name(), err), f.Close())
		}
		each(leaf)
		whole += int64(len(line))
	}
	if err := f.Truncate(whole); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	_, err = f.Seek(whole, 0)
	return &leafFile{f: f}, err
}

func (l *leafFile) append(leaf []byte) error {
	_, err := l.f.WriteString(base64.StdEncoding.EncodeToString(leaf) + "\n")
	return err
}

package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/cyberphone/json-canonicalization/go/src/webpki.org/jsoncanonicalizer"
	"github.com/go-openapi/strfmt"
	"github.com/sigstore/rekor/pkg/generated/models"
	"github.com/sigstore/rekor/pkg/util"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/merkle/testonly"
)

const (
	rekorV1Origin = "rekor-v1.rehearsal.test"
	rekorV1TreeID = 1

	// earlier is how many entries the public log's first tree has, which was closed
	// in 2022: since then an entry's index is not its index in its tree.
	earlier = 4163431
)

// rekorV1 is the log that Sigstore's public instance names by default: Rekor's
// own entry types, checks, checkpoints and signed entry timestamps. Its server
// needs MySQL and Trillian; here entries lie in a file and the tree in memory.
type rekorV1 struct {
	signer *signature.ECDSASigner
	der    []byte // the public key
	id     [32]byte

	mu      sync.Mutex
	kept    *entryFile
	entries []logged         // by index
	indexes map[string]int64 // of an entry, by its leaf hash, 64 hex digits
	tree    *testonly.Tree   // upstream's one in-memory tree that gives proofs
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
	l := &rekorV1{signer: signer, der: der, id: sha256.Sum256(der), tree: testonly.New(rfc6962.DefaultHasher),
		indexes: map[string]int64{}}
	l.kept, err = openEntries(dir, l.append)
	return l, err
}

// leafHash is the UUID of an entry inside its tree.
func leafHash(body []byte) string { return hex.EncodeToString(rfc6962.DefaultHasher.HashLeaf(body)) }

func (l *rekorV1) append(e logged) {
	l.indexes[leafHash(e.body)] = int64(len(l.entries))
	l.entries = append(l.entries, e)
	l.tree.AppendData(e.body)
}

// add returns the index of a body; fresh is false when the log has it already.
func (l *rekorV1) add(body []byte, now time.Time) (index int64, fresh bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if index, taken := l.indexes[leafHash(body)]; taken {
		return index, false, nil
	}
	e := logged{body: body, seconds: now.Unix()}
	if err := l.kept.append(e); err != nil {
		return 0, false, err
	}
	l.append(e)
	return int64(len(l.entries)) - 1, true, nil
}

// find returns the index of an entry by its leaf hash, or by that behind the tree's number.
func (l *rekorV1) find(id string) (index int64, ok bool) {
	tree := fmt.Sprintf("%016x", rekorV1TreeID)
	if len(id) == len(tree)+2*sha256.Size && id[:len(tree)] == tree {
		id = id[len(tree):]
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	index, ok = l.indexes[id]
	return index, ok
}

// entryID is the tree's number and the leaf's hash, 80 hex digits.
func entryID(body []byte) string { return fmt.Sprintf("%016x%s", rekorV1TreeID, leafHash(body)) }

// entry is what the log says of the entry with this index in its tree, proven in
// the tree of now; ok is false when there is none.
func (l *rekorV1) entry(ctx context.Context, index int64) (_ models.LogEntry, ok bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if index < 0 || index >= int64(len(l.entries)) {
		return nil, false, nil
	}
	kept, id, inLog := l.entries[index], hex.EncodeToString(l.id[:]), earlier+index
	e := models.LogEntryAnon{Body: kept.body, IntegratedTime: &kept.seconds, LogID: &id, LogIndex: &inLog}
	promise, err := l.promise(&e)
	if err != nil {
		return nil, false, err
	}
	proof, err := l.proof(ctx, index)
	e.Verification = &models.LogEntryAnonVerification{SignedEntryTimestamp: promise, InclusionProof: proof}
	return models.LogEntry{entryID(kept.body): e}, true, err
}

// proof shows that an entry is in the tree, under a signed checkpoint.
func (l *rekorV1) proof(ctx context.Context, index int64) (*models.InclusionProof, error) {
	size, root := l.tree.Size(), l.tree.Hash()
	path, err := l.tree.InclusionProof(uint64(index), size) //nolint:gosec // an index is not negative
	if err != nil {
		return nil, err
	}
	note, err := l.checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	hashes := make([]string, 0, len(path))
	for _, h := range path {
		hashes = append(hashes, hex.EncodeToString(h))
	}
	rootHex, treeSize := hex.EncodeToString(root), int64(size) //nolint:gosec // nobody adds 2^63 leaves
	return &models.InclusionProof{Checkpoint: &note, Hashes: hashes, LogIndex: &index, RootHash: &rootHex,
		TreeSize: &treeSize}, nil
}

func (l *rekorV1) checkpoint(ctx context.Context) (string, error) {
	signed, err := util.CreateAndSignCheckpoint(ctx, rekorV1Origin, rekorV1TreeID, l.tree.Size(), l.tree.Hash(), l.signer)
	return string(signed), err
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

// info is the log's size and signed head.
func (l *rekorV1) info(ctx context.Context) (*models.LogInfo, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	head, err := l.checkpoint(ctx)
	root, size, tree := hex.EncodeToString(l.tree.Hash()), int64(len(l.entries)), strconv.Itoa(rekorV1TreeID)
	return &models.LogInfo{RootHash: &root, SignedTreeHead: &head, TreeID: &tree, TreeSize: &size}, err
}

func (l *rekorV1) publicKeyPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: l.der})
}

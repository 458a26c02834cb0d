package signature

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	rekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
)

// consistent compares the parts of a log entry that repeat each other.
// sigstore-go 1.3.0 reads for Rekor v2 only the index, the hashes and the
// checkpoint, and recomputes the rest; what it never reads could be changed at will.
func consistent(e *rekor.TransparencyLogEntry) error {
	v1, err := describes(e)
	if err != nil {
		return err
	}
	p := e.GetInclusionProof()
	if p == nil && v1 && e.GetInclusionPromise() != nil {
		return nil // a bundle v0.1 may have the log's promise alone, which sigstore-go checks
	}
	c, err := readCheckpoint(p.GetCheckpoint().GetEnvelope(), e.GetLogId().GetKeyId())
	if err != nil {
		return err
	}
	if p.GetLogIndex() < 0 || p.GetTreeSize() < 0 {
		return errors.New("a negative index or size")
	}
	size, index := uint64(p.GetTreeSize()), uint64(p.GetLogIndex()) //nolint:gosec // neither is negative
	if c.Size != size || !bytes.Equal(c.Hash, p.GetRootHash()) {
		return errors.New("the inclusion proof is for another tree than its checkpoint")
	}
	leaf := rfc6962.DefaultHasher.HashLeaf(e.GetCanonicalizedBody())
	err = proof.VerifyInclusion(rfc6962.DefaultHasher, index, c.Size, leaf, p.GetHashes(), c.Hash)
	if err != nil {
		return fmt.Errorf("the entry is not in the tree: %w", err)
	}
	if v1 {
		return nil // index and time are under the log's signed entry timestamp, which sigstore-go checks
	}
	if e.GetLogIndex() != p.GetLogIndex() || e.GetIntegratedTime() != 0 || e.GetInclusionPromise() != nil {
		return errors.New("a Rekor v2 entry has one index, no time and no promise")
	}
	return nil
}

// describes returns whether the entry is of Rekor v1, after checking that the label is its body's own.
func describes(e *rekor.TransparencyLogEntry) (v1 bool, err error) {
	var body struct {
		Kind       string `json:"kind"`
		APIVersion string `json:"apiVersion"`
	}
	if err := json.Unmarshal(e.GetCanonicalizedBody(), &body); err != nil {
		return false, fmt.Errorf("the entry's body: %w", err)
	}
	label := e.GetKindVersion()
	if label.GetKind() != body.Kind || label.GetVersion() != body.APIVersion {
		return false, fmt.Errorf("labelled %s %s, is %s %s", label.GetKind(), label.GetVersion(), body.Kind, body.APIVersion)
	}
	switch kind := body.Kind + " " + body.APIVersion; kind {
	case "hashedrekord 0.0.1", "dsse 0.0.1", "intoto 0.0.2":
		return true, nil
	case "hashedrekord 0.0.2", "dsse 0.0.2":
		return false, nil
	default:
		return false, fmt.Errorf("an entry of kind %s", kind)
	}
}

// readCheckpoint reads a signed checkpoint (c2sp.org/tlog-checkpoint). Its
// signature is sigstore-go's to check, but for Rekor v1 it does not read whose
// it claims to be: it must be the log's, whose ID begins with the key's hash.
func readCheckpoint(envelope string, logID []byte) (log.Checkpoint, error) {
	_, err := note.Open([]byte(envelope), nil)
	var unverified *note.UnverifiedNoteError
	if !errors.As(err, &unverified) { // no key is known to Open: it cannot have succeeded
		return log.Checkpoint{}, fmt.Errorf("the checkpoint: %w", err)
	}
	var c log.Checkpoint
	if _, err := c.Unmarshal([]byte(unverified.Note.Text)); err != nil {
		return log.Checkpoint{}, err
	}
	// Unmarshal accepts several spellings of a number and of base64.
	if !strings.HasPrefix(unverified.Note.Text, string(c.Marshal())) {
		return log.Checkpoint{}, errors.New("the checkpoint's size or root is not in its canonical spelling")
	}
	name, _, _ := strings.Cut(c.Origin, " ") // Rekor v1 adds the tree's number
	for _, s := range unverified.Note.UnverifiedSigs {
		raw, err := base64.StdEncoding.Strict().DecodeString(s.Base64)
		if err == nil && s.Name == name && len(logID) >= 4 && bytes.HasPrefix(raw, logID[:4]) {
			return c, nil
		}
	}
	return log.Checkpoint{}, errors.New("the checkpoint is not signed in the log's name")
}

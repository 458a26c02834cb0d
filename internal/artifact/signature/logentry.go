package signature

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	rekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

// consistent compares the parts of a log entry that repeat each other.
// sigstore-go 1.3.0 reads for Rekor v2 only the index, the hashes and the
// checkpoint, and recomputes the rest; what it never reads could be changed at will.
func consistent(e *rekor.TransparencyLogEntry) error {
	version, err := describes(e)
	if err != nil {
		return err
	}
	p := e.GetInclusionProof()
	size, root, err := checkpoint(p.GetCheckpoint().GetEnvelope(), e.GetLogId().GetKeyId())
	if err != nil {
		return err
	}
	if size != p.GetTreeSize() || !bytes.Equal(root, p.GetRootHash()) {
		return errors.New("the inclusion proof is for another tree than its checkpoint")
	}
	if p.GetLogIndex() < 0 || size < 0 {
		return errors.New("a negative index or size")
	}
	leaf := rfc6962.DefaultHasher.HashLeaf(e.GetCanonicalizedBody())
	err = proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(p.GetLogIndex()), uint64(size), leaf, p.GetHashes(), root)
	if err != nil {
		return fmt.Errorf("the entry is not in the tree: %w", err)
	}
	if version == rekorV1Entry {
		return nil // index and time are under the log's signed entry timestamp, which sigstore-go checks
	}
	if e.GetLogIndex() != p.GetLogIndex() || e.GetIntegratedTime() != 0 || e.GetInclusionPromise() != nil {
		return errors.New("a Rekor v2 entry has one index, no time and no promise")
	}
	return nil
}

const (
	rekorV1Entry = "0.0.1" // version of a hashedrekord in Rekor v1
	rekorV2Entry = "0.0.2"
)

// describes returns the entry's version after checking that the label is its body's own.
func describes(e *rekor.TransparencyLogEntry) (version string, err error) {
	var body struct {
		Kind       string `json:"kind"`
		APIVersion string `json:"apiVersion"`
	}
	if err := json.Unmarshal(e.GetCanonicalizedBody(), &body); err != nil {
		return "", fmt.Errorf("the entry's body: %w", err)
	}
	label := e.GetKindVersion()
	if label.GetKind() != body.Kind || label.GetVersion() != body.APIVersion {
		return "", fmt.Errorf("labelled %s %s, is %s %s", label.GetKind(), label.GetVersion(), body.Kind, body.APIVersion)
	}
	if body.Kind != "hashedrekord" || (body.APIVersion != rekorV1Entry && body.APIVersion != rekorV2Entry) {
		return "", fmt.Errorf("an entry of kind %s %s", body.Kind, body.APIVersion)
	}
	return body.APIVersion, nil
}

// checkpoint reads size and root hash from a C2SP checkpoint: its second and
// third line. The signature is sigstore-go's to check, but for Rekor v1 it does
// not read whose it claims to be: it must be the log's.
func checkpoint(envelope string, logID []byte) (size int64, root []byte, err error) {
	lines := strings.SplitN(envelope, "\n", 4)
	if len(lines) != 4 || len(logID) < 4 {
		return 0, nil, errors.New("the checkpoint is too short")
	}
	if size, err = strconv.ParseInt(lines[1], 10, 64); err != nil {
		return 0, nil, fmt.Errorf("the checkpoint's size: %w", err)
	}
	if root, err = base64.StdEncoding.Strict().DecodeString(lines[2]); err != nil {
		return 0, nil, fmt.Errorf("the checkpoint's root: %w", err)
	}
	name, _, _ := strings.Cut(lines[0], " ") // Rekor v1 adds the tree's number
	if !signedBy(lines[3], name, logID[:4]) {
		return 0, nil, errors.New("the checkpoint is not signed in the log's name")
	}
	return size, root, nil
}

// signedBy looks for the signature line "— name base64(key hash ‖ signature)".
func signedBy(lines, name string, keyHash []byte) bool {
	for line := range strings.Lines(lines) {
		rest, found := strings.CutPrefix(line, "— "+name+" ")
		signature, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSuffix(rest, "\n"))
		if found && err == nil && bytes.HasPrefix(signature, keyHash) {
			return true
		}
	}
	return false
}

package migration

import (
	"bytes"
	"context"
	"crypto/rand"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// session is a node that lives through the restart: one identity, which asks the
// service for its key before and after. A node that does not ask again holds the
// key that it got before, so the two must be the same.
type session struct {
	runner    Runner
	migration Migration
	node      *measurement.Published // nil: no node release is in both policies
	identity  [32]byte
	key       []byte // the digest of what it got before; nil: nothing
}

func (r Runner) session(m Migration, node *measurement.Published) *session {
	s := &session{runner: r, migration: m, node: node}
	_, _ = rand.Read(s.identity[:]) // never fails (Go 1.24)
	return s
}

const noSession = "no node release is in both policies: every node must be upgraded before it re-attests"

// before: the old service gives the node its key.
func (s *session) before(ctx context.Context, url string) check.Result {
	const name = "step 4: a node gets its key from the old service"
	if s.node == nil {
		return check.NotApplicable(name, noSession)
	}
	var err error
	s.key, err = s.ask(ctx, place{s.migration.From, url})
	return check.Of(name, err)
}

// after: "Existing node connections are unaffected until they re-attest", and then
// they get what they had.
func (s *session) after(ctx context.Context, url string) check.Result {
	const name = "step 4: the node re-attests and gets the key that it had; a node that does not re-attest notices nothing"
	switch {
	case s.node == nil:
		return check.NotApplicable(name, noSession)
	case s.key == nil:
		return check.Fail(name, fault.Verification, "the node had no key before", "", "")
	}
	key, err := s.ask(ctx, place{s.migration.To, url})
	if err == nil && !bytes.Equal(key, s.key) {
		err = &fault.Error{Code: fault.Verification, Message: "the restarted service gives the node another key than it had",
			Hint: "keys belong to the dstack application: update it in place, under its app id, and leave " +
				"KEY_NAMESPACE_PREFIX as it is"}
	}
	return check.Of(name, err)
}

// ask boots the node, which gets its key from the service; it says the key's digest.
func (s *session) ask(ctx context.Context, p place) ([]byte, error) {
	v, err := s.runner.visit(ctx, s.migration, s.node, p, &s.identity)
	if err != nil {
		return nil, err
	}
	if len(v.KeyDigest) != 32 {
		return nil, fault.Mismatch("the node does not say which key it got", "a digest of 32 bytes",
			"none: its image is older than this test")
	}
	return v.KeyDigest, nil
}

package mission

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/node/clientconfig"
)

// patience bounds one visit.
const patience = 3 * time.Minute

// visitor is a node that proved itself.
type visitor struct {
	agent    *agent.Agent
	verifier *tdx.Verifier
	digests  bool // keys are told by their digests
}

// one makes a visit and writes down how it went; compare asks for the key again, and for another peer's.
func (v visitor) one(ctx context.Context, visit agent.Visit, r *agent.VisitResult, compare bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r.Name = visit.Name
	err := v.verify(ctx, visit.Config, r)
	if err == nil {
		err = unreleased(v.ask(ctx, r, compare))
	}
	if err != nil {
		r.Fail(err)
	}
	return err
}

// verify has the service prove itself.
func (v visitor) verify(ctx context.Context, file []byte, r *agent.VisitResult) error {
	config, err := clientconfig.Decode(file)
	if err != nil {
		return err
	}
	want, err := config.Expectation(v.verifier)
	if err != nil {
		return err
	}
	r.URL = config.URL
	proved, err := v.agent.VerifyKMS(ctx, config.URL, want)
	if err != nil {
		return err
	}
	r.Verified, r.TCB, r.Registers = true, string(proved.Verdict.TCB), &proved.Verdict.Registers
	r.Nonce, r.Quote, r.TransportKey = proved.Nonce[:], proved.Quote, proved.Transport[:]
	return nil
}

// ask gets this node's key. That it came, and how it compares, is the result;
// nothing here has a use for it.
func (v visitor) ask(ctx context.Context, r *agent.VisitResult, compare bool) error {
	transport := wire.PublicKey(r.TransportKey)
	first, err := v.agent.GetKey(ctx, r.URL, transport)
	defer clear(first)
	r.KeyReleased = err == nil
	if err != nil || !compare {
		return err
	}
	if v.digests {
		r.KeyDigest = agent.DigestKey(first)
	}
	_, identity, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	stranger := *v.agent
	stranger.Key = identity
	again, err := v.agent.GetKey(ctx, r.URL, transport)
	defer clear(again)
	if err != nil {
		return err
	}
	other, err := stranger.GetKey(ctx, r.URL, transport)
	defer clear(other)
	if err != nil {
		return err
	}
	r.KeySame = subtle.ConstantTimeCompare(first, again) == 1
	r.KeyOwn = subtle.ConstantTimeCompare(first, other) == 0
	return nil
}

// unreleased: a refusal is the service's verdict, unless it could not decide.
func unreleased(err error) error {
	var refused *agent.Refused
	switch {
	case !errors.As(err, &refused):
		return err
	case refused.Undecided():
		return &fault.Error{Code: fault.General, Message: "the key service could not decide whether to release the key",
			Err: err, Hint: "ask again later; the log of the service says what it lacked"}
	}
	return &fault.Error{Code: fault.Verification, Message: "the key was not released", Err: err}
}

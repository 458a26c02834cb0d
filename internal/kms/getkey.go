package kms

import (
	"context"
	"crypto/ed25519"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/policies"
)

const (
	// decisionDeadline bounds quote verification, the fetch of collateral included.
	decisionDeadline = 30 * time.Second
	keyPurpose       = "storage-encryption"
)

// challenge begins a key release: a nonce that the node must have quoted.
func (s *Service) challenge(r *http.Request) (any, error) {
	req, err := decode[wire.ChallengeRequest](r, wire.InvalidRequest)
	if err != nil {
		return nil, err
	}
	id, err := parsePeer(req.PeerID)
	if err != nil {
		return nil, err
	}
	if _, err := s.usablePolicy(); err != nil {
		return nil, err
	}
	c, err := s.challenges.issue(r.Context(), id)
	if err != nil {
		return nil, refuseChallenge(err)
	}
	return wire.ChallengeResponse{ChallengeID: c.name(), NonceB64: base64.StdEncoding.EncodeToString(c.nonce[:]),
		ExpiresAt: c.expires.Unix()}, nil
}

// getKey takes the whole decision in the order of the wire format: form, policy,
// encoding, challenge, signature, key to seal to, quote, policy's verdict, key.
func (s *Service) getKey(r *http.Request) (any, error) {
	req, err := decode[wire.KeyRequest](r, wire.InvalidRequest)
	if err != nil {
		return nil, err
	}
	id, err := parsePeer(req.PeerID)
	if err != nil {
		return nil, err
	}
	if !wire.IsChallengeID(req.ChallengeID) {
		return nil, refuse(http.StatusUnauthorized, wire.InvalidChallenge, "challengeId is not 32 lower-case hex digits")
	}
	state, err := s.usablePolicy()
	if err != nil {
		return nil, err
	}
	about := []any{"peer", id, "challenge", req.ChallengeID[:8], "policy_sha256", state.sha256}
	log := s.log.With(about...)
	if state.policy.NotReady() {
		log.Warn("key requested; " + notEnforced)
	}
	if !s.config.RequireSealed {
		log.Warn("key requested; "+inTheClear, "sealed", req.SealToB64 != "")
	}
	answer, err := s.decide(r.Context(), log, state.policy, id, req)
	if err != nil {
		var no *refusal
		if errors.As(err, &no) {
			no.about = about
		}
		return nil, err
	}
	log.Info("key released", "sealed", req.SealToB64 != "")
	return answer, nil
}

func (s *Service) decide(ctx context.Context, log *slog.Logger, policy *policies.Policy, id wire.PeerID,
	req wire.KeyRequest) (any, error) {
	c, err := s.parseClaim(id, req)
	if err != nil {
		return nil, err
	}
	if err := s.decisions.enter(ctx); err != nil {
		return nil, err
	}
	defer s.decisions.leave()
	challenge, err := s.challenges.open(ctx, c.challenge, id)
	if err != nil {
		return nil, refuseChallenge(err)
	}
	c.nonce = challenge.nonce
	if err := c.checkSignature(); err != nil {
		return nil, err
	}
	seals, err := s.seals(ctx, c)
	if err != nil {
		return nil, err
	}
	verdict, err := s.verify(ctx, c)
	if err != nil {
		return nil, err
	}
	// Used up by a genuine quote alone, whatever the policy says of it: what anybody can send takes nobody's challenge
	// and no room where used ones are remembered.
	if err := s.challenges.spend(ctx, challenge); err != nil {
		return nil, refuseChallenge(err)
	}
	log.Info("quote verified", "tcb", verdict.TCB, "registers", fingerprints(verdict.Registers))
	if err := s.admit(log, policy, verdict); err != nil {
		return nil, err
	}
	key, err := s.parts.Guest.Key(ctx, s.config.KeyPrefix+"/"+string(s.config.Profile)+"/"+string(id), keyPurpose)
	if err != nil {
		return nil, refuse(http.StatusInternalServerError, wire.KeyDerivationFailed, "the platform gave no key").because(err)
	}
	defer clear(key)
	return released(key, seals), nil
}

// admit is the policy's verdict of today; a machine that only a waiver accepts is logged with it.
func (s *Service) admit(log *slog.Logger, policy *policies.Policy, verdict *tdx.Verdict) error {
	machine, now := tcb.Of(verdict), s.parts.Now()
	if err := policy.Admits(verdict.Registers, machine, now); err != nil {
		return refuse(http.StatusForbidden, wire.PolicyViolation, "%v", err)
	}
	if _, waiver := policy.TCB().Accepts(machine, now); waiver != nil {
		log.Warn("TCB status accepted by a waiver", "waiver", waiver.What())
	}
	return nil
}

func (s *Service) usablePolicy() (*policyState, error) {
	state := s.policy.state.Load()
	if state.policy == nil {
		no := refuse(http.StatusServiceUnavailable, wire.PolicyNotReady, "%s", state.reason)
		no.retryAfter = firstRetry
		return nil, no
	}
	return state, nil
}

func parsePeer(text string) (wire.PeerID, error) {
	id, err := wire.ParsePeerID(text)
	if err != nil {
		return "", refuse(http.StatusBadRequest, wire.InvalidPeerID, "%v", err)
	}
	return id, nil
}

// verify maps what can be wrong with a quote to the wire format's answers.
func (s *Service) verify(ctx context.Context, c *claim) (*tdx.Verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, decisionDeadline)
	defer cancel()
	verdict, err := s.parts.Verifier.Verify(ctx, c.quote, c.reportData())
	var never *tdx.Violation
	var unrated *tdx.Unrated
	switch {
	case err == nil:
		return verdict, nil
	case errors.Is(err, tdx.ErrCollateral):
		no := refuse(http.StatusServiceUnavailable, wire.VerificationUnavailable,
			"collateral of the quote's platform could not be had or believed").because(err)
		no.retryAfter = firstRetry
		return nil, no
	case errors.Is(err, tdx.ErrReportData):
		return nil, c.mismatch(err)
	case errors.As(err, &never):
		return nil, refuse(http.StatusForbidden, wire.PolicyViolation, "%v", never)
	case errors.As(err, &unrated): // genuine, and of no TCB status that a policy could list
		return nil, refuse(http.StatusForbidden, wire.PolicyViolation, "%v", unrated)
	}
	return nil, refuse(http.StatusUnauthorized, wire.AttestationFailed, "%v", err)
}

// fingerprints are the first eight bytes of each register, enough to tell releases apart in a log.
func fingerprints(r tdx.Registers) string {
	text := ""
	for i, name := range tdx.RegisterNames() {
		text += " " + name + "=" + r.Values()[i].String()[:16]
	}
	return text[1:]
}

// claim is a key request whose form is right and whose content is unproven.
type claim struct {
	challenge        string
	id               wire.PeerID
	key              ed25519.PublicKey
	quote, signature []byte
	sealTo           *wire.PublicKey // nil: the released key is asked for in the clear
	nonce            [32]byte        // of the challenge, once it is known to be ours
}

func (s *Service) parseClaim(id wire.PeerID, req wire.KeyRequest) (*claim, error) {
	c := &claim{challenge: req.ChallengeID, id: id}
	var err error
	if c.sealTo, err = s.parseSealTo(req.SealToB64); err != nil {
		return nil, err
	}
	if c.quote, err = wire.Bytes(req.QuoteB64); err != nil {
		return nil, refuse(http.StatusBadRequest, wire.InvalidRequest, "quoteB64 is not base64")
	}
	encoded, err := wire.Bytes(req.PeerPublicKeyB64)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, wire.InvalidPeerPublicKey, "peerPublicKeyB64 is not base64")
	}
	if c.key, err = wire.ParsePublicKey(encoded); err != nil {
		return nil, refuse(http.StatusBadRequest, wire.InvalidPeerPublicKey, "%v", err)
	}
	if c.signature, err = wire.Bytes(req.SignatureB64); err != nil {
		return nil, refuse(http.StatusUnauthorized, wire.InvalidSignature, "signatureB64 is not base64")
	}
	return c, nil
}

func (c *claim) reportData() [64]byte {
	if c.sealTo == nil {
		return wire.NodeReportData(c.nonce, c.id)
	}
	return wire.SealedReportData(c.nonce, *c.sealTo, c.id)
}

// signed says whether the signature is the peer's with this key to seal to.
func (c *claim) signed(sealTo *wire.PublicKey) bool {
	return slices.ContainsFunc(wire.SignedPayloads(c.challenge, c.nonce, c.id, c.quote, sealTo), func(p []byte) bool {
		return ed25519.Verify(c.key, p, c.signature)
	})
}

func (c *claim) checkSignature() error {
	if wire.PeerIDOf(c.key) != c.id {
		return refuse(http.StatusUnauthorized, wire.PeerIdentityMismatch, "the public key is not that of the peer ID")
	}
	switch {
	case c.signed(c.sealTo):
		return nil
	case c.sealTo != nil && c.signed(nil):
		return refuse(http.StatusUnauthorized, wire.InvalidSignature,
			"sealToB64 is not what the peer signed, which names no key to seal to")
	case c.sealTo == nil:
		return refuse(http.StatusUnauthorized, wire.InvalidSignature,
			"the signature is not the peer's over this challenge and quote")
	}
	return refuse(http.StatusUnauthorized, wire.InvalidSignature,
		"the signature is not the peer's over this challenge, quote and key to seal to")
}

// mismatch says which half of REPORTDATA is not this request's.
func (c *claim) mismatch(err error) error {
	q, parseErr := tdx.ParseQuote(c.quote)
	if parseErr != nil || subtle.ConstantTimeCompare(q.ReportData[:32], c.nonce[:]) != 1 {
		return refuse(http.StatusUnauthorized, wire.InvalidChallenge, "the quote does not hold this challenge's nonce").
			because(err)
	}
	words := "the quote is bound to another peer ID"
	if c.sealTo != nil {
		words += " or key to seal to"
		if q.ReportData == wire.NodeReportData(c.nonce, c.id) {
			words = "the quote is bound to the peer ID and to no key to seal to"
		}
	}
	return refuse(http.StatusUnauthorized, wire.PeerIDMismatch, "%s", words).because(err)
}

package ita

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/digest"
)

const maxRequest = 1 << 20 // bytes

// evidence is one TD's part of a request.
type evidence struct {
	Quote         []byte         `json:"quote"`
	VerifierNonce *verifierNonce `json:"verifier_nonce"`
	RuntimeData   []byte         `json:"runtime_data"`
	EventLog      []byte         `json:"event_log"`
	UserData      []byte         `json:"user_data"`
}

// attestRequest has the evidence under "tdx", or flat as the connector's Attest sends it.
type attestRequest struct {
	evidence
	TDX             *evidence `json:"tdx"`
	PolicyIDs       []string  `json:"policy_ids"`
	PolicyMustMatch bool      `json:"policy_must_match"`
	Algorithm       string    `json:"token_signing_alg"`
}

func (s *Service) serveAttest(w http.ResponseWriter, r *http.Request) {
	var request attestRequest
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
	d.DisallowUnknownFields()
	if err := d.Decode(&request); err != nil {
		refuse(w, http.StatusBadRequest, "malformed request: "+err.Error())
		return
	}
	token, err := s.appraise(r.Context(), &request)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	reply(w, map[string]string{"token": token})
}

// appraise verifies the evidence and signs what it shows.
func (s *Service) appraise(ctx context.Context, request *attestRequest) (string, error) {
	e := &request.evidence
	if request.TDX != nil {
		e = request.TDX
	}
	if len(request.PolicyIDs) > 0 {
		return "", errors.New("policy not found") // a rehearsal's tenant has none
	}
	if quote := s.current().Quote; quote != nil {
		e.Quote = quote
	}
	verdict, err := s.judge(ctx, e)
	if err != nil {
		return "", err
	}
	claims := s.frame()
	appraisal := tdxClaims(verdict, e)
	if request.TDX != nil {
		claims["tdx"] = appraisal
	} else {
		for k, v := range appraisal {
			claims[k] = v
		}
	}
	if change := s.current().Claims; change != nil {
		change(claims)
	}
	return s.sign(claims, request.Algorithm)
}

// judge is the whole verification of one quote. Report data is compared when
// the request holds anything that it must hash to.
func (s *Service) judge(ctx context.Context, e *evidence) (*tdx.Verdict, error) {
	claim, err := tdx.ParseQuote(e.Quote)
	if err != nil {
		return nil, err
	}
	verdict, err := s.verifier().Verify(ctx, e.Quote, claim.ReportData)
	if err != nil {
		return nil, err
	}
	if e.VerifierNonce != nil {
		if err := s.accept(e.VerifierNonce); err != nil {
			return nil, err
		}
	}
	if e.VerifierNonce == nil && len(e.RuntimeData) == 0 {
		return verdict, nil
	}
	want := sha512.Sum512(slices.Concat(e.VerifierNonce.bytes(), e.RuntimeData))
	if !bytes.Equal(want[:], verdict.ReportData[:]) {
		return nil, errors.New("report data is not the hash of nonce and runtime data")
	}
	return verdict, nil
}

// verifier applies a TCB recovery as soon as Intel publishes it.
func (s *Service) verifier() *tdx.Verifier {
	if s.current().Behind {
		return s.Verifier.At(tdx.Standard)
	}
	return s.Verifier.At(tdx.Early)
}

// frame are the claims of any token; a token lives for five minutes.
func (s *Service) frame() map[string]any {
	now := s.Now().Unix()
	return map[string]any{"iss": issuer, "iat": now, "nbf": now, "exp": now + 300,
		"jti": uuid.NewString(), "ver": "2.0.0", "intuse": "generic", "eat_profile": issuer + "/eat_profile.html"}
}

// tdxClaims are named by the EAT profile.
func tdxClaims(v *tdx.Verdict, e *evidence) map[string]any {
	out := map[string]any{
		"attester_type": "TDX", "attester_tcb_status": v.TCB, "attester_advisory_ids": v.Advisories,
		"attester_held_data": e.RuntimeData,
		"dbgstat":            "disabled", "tdx_is_debuggable": v.Debug(),
		"tdx_report_data": hex.EncodeToString(v.ReportData[:]),
		"tdx_mrseam":      v.MRSEAM.String(), "tdx_mrsignerseam": v.MRSIGNERSEAM.String(),
		"tdx_tee_tcb_svn": hex.EncodeToString(v.TEETCBSVN[:]),
		"tdx_collateral": map[string]any{"fmspc": v.FMSPC, "quotehash": digest.Of(e.Quote).Hex(),
			"tcbevaluationdatanumber": v.EvaluationNumber},
	}
	for i, name := range tdx.RegisterNames() {
		out["tdx_"+name] = v.Registers.Values()[i].String()
	}
	return out
}

// sign makes the JWT, with PS384 unless RS256 is asked for.
func (s *Service) sign(claims map[string]any, algorithm string) (string, error) {
	if algorithm == "" {
		algorithm = string(jose.PS384)
	}
	if algorithm != string(jose.PS384) && algorithm != string(jose.RS256) {
		return "", fmt.Errorf("token_signing_alg %.20q is neither PS384 nor RS256", algorithm)
	}
	a, err := s.signer()
	if err != nil {
		return "", err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(algorithm),
		Key: jose.JSONWebKey{Key: a.token.key, KeyID: a.kid()}},
		(&jose.SignerOptions{}).WithType("JWT").WithHeader("jku", issuer+"/certs"))
	if err != nil {
		return "", err
	}
	return jwt.Signed(signer).Claims(claims).Serialize()
}

// nonceLife bounds the time between a nonce and its use.
const nonceLife = 5 * time.Minute

// nonceTime is how the service writes iat.
const nonceTime = "2006-01-02 15:04:05 -0700 MST"

// verifierNonce is the service's nonce. The token signing key signs it, always
// with PS384, so that the service need not remember it.
type verifierNonce struct {
	Val       []byte `json:"val"`
	Iat       []byte `json:"iat"`
	Signature []byte `json:"signature"`
}

// bytes is what stands before runtime_data in REPORTDATA = SHA-512(val ‖ iat ‖ runtime_data).
func (n *verifierNonce) bytes() []byte {
	if n == nil {
		return nil
	}
	return slices.Concat(n.Val, n.Iat)
}

func (s *Service) serveNonce(w http.ResponseWriter, _ *http.Request) {
	n := &verifierNonce{Val: make([]byte, 40), Iat: []byte(s.Now().UTC().Format(nonceTime))}
	_, _ = rand.Read(n.Val) // never fails
	digest := sha512.Sum384(n.bytes())
	if s.current().WrongNonce {
		digest[0] ^= 1
	}
	var err error
	n.Signature, err = rsa.SignPSS(rand.Reader, s.Authority.token.key, crypto.SHA384, digest[:],
		&rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	reply(w, n)
}

// accept takes back a nonce of this service, while it lives.
func (s *Service) accept(n *verifierNonce) error {
	digest := sha512.Sum384(n.bytes())
	if err := rsa.VerifyPSS(&s.Authority.token.key.PublicKey, crypto.SHA384, digest[:], n.Signature, nil); err != nil {
		return errors.New("invalid nonce")
	}
	at, err := time.Parse(nonceTime, string(n.Iat))
	if age := s.Now().Sub(at); err != nil || age < -time.Second || age > nonceLife {
		return errors.New("nonce expired")
	}
	return nil
}

// Package kms is the key service: it releases a node's storage key to the node
// that proves, with a fresh TDX quote bound to its peer ID, that it runs what
// the attestation policy allows.
//
// Its promise: no key leaves without a genuine quote under the one configured
// root, the nonce of a challenge used for the first time, the signature of the
// peer that the key is for, and a policy that admits the quote; and what leaves
// opens for nobody but the TD that was quoted, unless the measured compose file
// says otherwise. Whatever is missing or unclear means no key.
//
// A key request carries no event log: the policy judges whole tuples of register
// values, which a log could only explain.
//
// The service measures no event of its own into RTMR3. dstack offers EmitEvent,
// but what it extends comes after system-ready, where verifiers trust nothing,
// and a restarted container would measure it twice. The profile is bound
// by the compose hash instead: MERO_KMS_PROFILE stands in the compose file that
// dstack measures before the container starts.
package kms

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/provider/dstack/guest"
)

// Guest is what the service needs of the dstack guest agent.
type Guest interface {
	Quote(ctx context.Context, reportData [64]byte) (*guest.Quote, error)
	Key(ctx context.Context, path, purpose string) ([]byte, error)
}

// Verifier decides whether a quote is genuine; *tdx.Verifier is one.
type Verifier interface {
	Verify(ctx context.Context, raw []byte, reportData [64]byte) (*tdx.Verdict, error)
}

// Parts are what the service works with.
type Parts struct {
	Guest         Guest
	Verifier      Verifier
	Transport     http.RoundTripper            // fetches the policy
	PolicySigner  PolicySigner                 // nil: the policy needs no signature
	CollateralAge func() (time.Duration, bool) // of the oldest collateral; may be nil
	Now           func() time.Time
	Log           *slog.Logger
}

// Service is one key service. Its handler answers at once; Serve also fetches the policy.
type Service struct {
	config     Config
	parts      Parts
	log        *slog.Logger
	policy     *policySource
	challenges *challenges
	transport  func(context.Context) (*wire.SealingKey, error)
	metrics    *metrics
	decisions  limiter
	quotes     limiter
}

// New puts the parts together; nothing runs yet. When the trusted root is not
// Intel's, every line of the log says so.
func New(c Config, p Parts) *Service {
	log := p.Log
	if !c.Intel() {
		log = log.With("warning", foreignRoot, "tdx_root_sha256", c.TDXRoot)
	}
	s := &Service{config: c, parts: p, log: log, decisions: newLimiter(maxDecisions), quotes: newLimiter(maxQuotes),
		policy: newPolicySource(c, p, log), challenges: newChallenges(c, p.Guest, p.Now),
		transport: transportKey(p.Guest)}
	s.metrics = newMetrics(s)
	return s
}

// foreignRoot is said in /health, at start and with every decision.
const foreignRoot = "the trusted TDX root is not Intel's: whoever holds that root gets every key"

// unsigned is said in /health.
const unsigned = "the policy's signature is not asked for: its pin alone vouches for it"

// notEnforced is the spec's "logs a warning on every key request".
const notEnforced = "policy_not_ready: MRTD and RTMR values are not enforced"

const getKeyPath = "/get-key"

// Handler serves the four endpoints; anything else is answered in the same form of error.
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, e := range []endpoint{
		{"/health", http.MethodGet, s.health},
		{"/attest", http.MethodPost, s.attest},
		{"/challenge", http.MethodPost, s.challenge},
		{getKeyPath, http.MethodPost, s.getKey},
	} {
		mux.HandleFunc(e.path, s.endpoint(e))
	}
	mux.HandleFunc("/", s.endpoint(endpoint{path: "other", answer: func(*http.Request) (any, error) {
		return nil, refuse(http.StatusNotFound, wire.NotFound, "the endpoints are /health, /attest, /challenge and /get-key")
	}}))
	return mux
}

func (s *Service) health(*http.Request) (any, error) {
	state := s.policy.state.Load()
	h := wire.Health{Status: "alive", Service: wire.Service, Version: s.config.Version.String(),
		Profile:     string(s.config.Profile),
		PolicyReady: state.policy != nil, PolicyReason: state.reason, PolicyURL: withoutSecrets(s.config.PolicyURL),
		PolicySHA256: state.sha256, PolicySignedBy: state.signer, PolicyTrust: s.policyTrust(),
		TDXRootSHA256: s.config.TDXRoot, Warning: s.warning()}
	if state.policy != nil && state.policy.NotReady() {
		h.PolicyReason = notEnforced
	}
	return h, nil
}

// warning is what everybody should know who trusts this service.
func (s *Service) warning() string {
	var said []string
	if !s.config.Intel() {
		said = append(said, foreignRoot)
	}
	if s.config.Unsigned {
		said = append(said, unsigned)
	}
	if !s.config.RequireSealed {
		said = append(said, inTheClear)
	}
	return strings.Join(said, "; ")
}

// attest lets a node verify the service before it asks for a key. It works without a policy.
func (s *Service) attest(r *http.Request) (any, error) {
	req, err := decode[wire.AttestRequest](r, wire.InvalidAttestation)
	if err != nil {
		return nil, err
	}
	nonce, err := bytes32("nonceB64", req.NonceB64)
	if err != nil {
		return nil, err
	}
	if err := s.quotes.enter(r.Context()); err != nil {
		return nil, err
	}
	defer s.quotes.leave()
	binding, transport, err := s.binding(r.Context(), req)
	if err != nil {
		return nil, err
	}
	reportData := wire.AttestReportData(nonce, binding)
	q, err := s.parts.Guest.Quote(r.Context(), reportData)
	if err != nil {
		return nil, refuse(http.StatusInternalServerError, wire.InternalError, "the platform gave no quote").because(err)
	}
	answer := wire.AttestResponse{QuoteB64: base64.StdEncoding.EncodeToString(q.Raw),
		ReportDataHex: hex.EncodeToString(reportData[:]), TransportPublicKeyB64: transport,
		EventLog: q.EventLog, VMConfig: q.VMConfig}
	if req.EventLog {
		answer.EventLogB64 = base64.StdEncoding.EncodeToString(q.EventLog)
	}
	return answer, nil
}

// binding is the second half of the service's REPORTDATA, and the transport key when it was asked for. Nobody chooses
// that half: a caller's own value goes in under a domain, or who stands between could have the service vouch for a
// transport key that is not its own.
func (s *Service) binding(ctx context.Context, req wire.AttestRequest) (b [32]byte, transport string, err error) {
	b = wire.DefaultBinding()
	if req.BindingB64 != "" {
		if b, err = bytes32("bindingB64", req.BindingB64); err != nil {
			return b, "", err
		}
	}
	if !req.TransportKey {
		if b != wire.DefaultBinding() {
			return b, "", refuse(http.StatusBadRequest, wire.InvalidAttestation,
				"bindingB64 is the caller's own: that is quoted only together with transportKey, true")
		}
		return b, "", nil
	}
	key, err := s.transport(ctx)
	if err != nil {
		return b, "", err
	}
	public := key.Public()
	return wire.AttestBinding(b, public), base64.StdEncoding.EncodeToString(public[:]), nil
}

func bytes32(field, text string) (b [32]byte, err error) {
	raw, err := wire.Bytes(text)
	if err != nil || len(raw) != len(b) {
		return b, refuse(http.StatusBadRequest, wire.InvalidAttestation, "%s is not base64 of %d bytes", field, len(b))
	}
	return [32]byte(raw), nil
}

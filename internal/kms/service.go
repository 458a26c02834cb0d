package kms

import (
	"context"
	"log/slog"
	"net/http"
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
	challenges challengeStore
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
		policy: newPolicySource(c, p, log), challenges: newChallengeStore(c, p.Now)}
	s.metrics = newMetrics(s)
	return s
}

// foreignRoot is said in /health, at start and with every decision.
const foreignRoot = "the trusted TDX root is not Intel's: whoever holds that root gets every key"

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
	h := wire.Health{Status: "alive", Service: wire.Service, Version: s.config.Version.String(), Profile: string(s.config.Profile),
		PolicyReady: state.policy != nil, PolicyReason: state.reason, PolicyURL: s.config.PolicyURL.String(),
		PolicySHA256: state.sha256, PolicySignedBy: state.signer, TDXRootSHA256: s.config.TDXRoot}
	if state.policy != nil && state.policy.NotReady() {
		h.PolicyReason = notEnforced
	}
	if !s.config.Intel() {
		h.Warning = foreignRoot
	}
	return h, nil
}

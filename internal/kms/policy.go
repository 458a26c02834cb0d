package kms

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/calimero-network/mero-tee/internal/artifact/signature"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/base/retry"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

const (
	policyDeadline = 30 * time.Second // of one fetch
	firstRetry     = time.Second
	lastRetry      = 5 * time.Minute
)

// policyState is what is known about the policy; exactly one of policy and reason is set.
type policyState struct {
	policy *policies.Policy
	sha256 string // of its bytes, 64 hex digits
	signer string // SAN of its verified signature; empty when none is demanded
	reason string // why there is none yet
}

// policySource brings the one policy of this instance. Until it has one,
// nothing is released; once it has one, that one stays until a restart
// ("On startup it fetches the new policy and applies it").
type policySource struct {
	config Config
	client *http.Client
	signer PolicySigner // nil means that none is demanded
	log    *slog.Logger
	state  atomic.Pointer[policyState]
}

func newPolicySource(c Config, p Parts, log *slog.Logger) *policySource {
	s := &policySource{config: c, log: log, signer: p.PolicySigner,
		client: &http.Client{Transport: p.Transport, CheckRedirect: redirect}}
	s.state.Store(&policyState{reason: "the policy is being fetched"})
	return s
}

// load tries until it has the policy or ctx ends; only a policy that a stable
// version must not run with is returned as an error (code Verification).
func (s *policySource) load(ctx context.Context) error {
	p := retry.Policy{First: firstRetry, Most: lastRetry, Wait: s.pause}
	err := p.Do(ctx, func(int) error {
		state, err := s.try(ctx)
		if err != nil {
			state = &policyState{reason: err.Error()}
		}
		s.state.Store(state)
		return err
	}, func(err error) (*retry.Class, time.Duration) {
		if errors.Is(err, errNotForStable) {
			return nil, 0
		}
		_, asked := retry.HTTP(err)
		return unfetched, min(asked, lastRetry)
	})
	if errors.Is(err, errNotForStable) {
		return err
	}
	if state := s.state.Load(); err == nil {
		s.log.Info("policy loaded", "policy_sha256", state.sha256, "signed_by", state.signer, "not_ready",
			state.policy.NotReady())
	}
	return nil // stopped, or loaded: neither is a fault of the policy
}

var unfetched = &retry.Class{}

func (s *policySource) pause(ctx context.Context, d time.Duration) error {
	s.log.Warn("no usable policy; no key is released", "reason", s.state.Load().reason, "retry_in", d.String())
	return retry.For(ctx, d)
}

func (s *policySource) try(ctx context.Context) (*policyState, error) {
	ctx, cancel := context.WithTimeout(ctx, policyDeadline)
	defer cancel()
	data, err := s.fetch(ctx, s.config.PolicyURL, maxPolicy)
	if err != nil {
		return nil, fmt.Errorf("fetch policy: %w", err)
	}
	sum := sha256.Sum256(data)
	got := hex.EncodeToString(sum[:])
	if want := s.config.PolicySHA256; want != "" && got != want {
		return nil, fmt.Errorf("the policy has SHA-256 %s, not the pinned %s", got, want)
	}
	signer, err := s.signedBy(ctx, sum)
	if err != nil {
		return nil, err
	}
	policy, err := s.decode(data)
	if err != nil {
		return nil, err
	}
	return &policyState{policy: policy, sha256: got, signer: signer}, nil
}

var errNotForStable = &fault.Error{Code: fault.Verification,
	Message:  "a stable key service refuses a policy that is policy_not_ready",
	Expected: "a policy in force", Got: `"status": "policy_not_ready"`,
	Hint: "set MERO_KMS_POLICY_URL to the policy of the stable release"}

func (s *policySource) decode(data []byte) (*policies.Policy, error) {
	// Looked at before the policy is judged, so that whatever else is wrong with it cannot hide the flag.
	var head struct{ Status policies.Status }
	if json.Unmarshal(data, &head) == nil && head.Status == policies.NotReady && !s.config.Version.IsCandidate() {
		return nil, errNotForStable
	}
	policy, err := policies.Decode(data)
	if err != nil {
		return nil, err
	}
	if policy.KMSVersion != s.config.Version || policy.Profile != s.config.Profile {
		return nil, fmt.Errorf("the policy is for %s %s, this service is %s %s",
			policy.KMSVersion, policy.Profile, s.config.Version, s.config.Profile)
	}
	return policy, nil
}

const (
	maxPolicy    = 1 << 20 // bytes; a tuple has about 700
	maxRedirects = 5       // GitHub redirects an asset once
)

// redirect keeps a redirected fetch on https and finite.
func redirect(r *http.Request, via []*http.Request) error {
	if r.URL.Scheme != "https" || len(via) > maxRedirects {
		return fmt.Errorf("refused redirect %d to %s://%s", len(via), r.URL.Scheme, r.URL.Host)
	}
	return nil
}

// fetch reads at most limit bytes from u, which is https or file.
func (s *policySource) fetch(ctx context.Context, u *url.URL, limit int64) ([]byte, error) {
	if u.Scheme == "file" {
		return file.Read(u.Path, limit)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := s.client.Do(req)
	var asked *url.Error
	if errors.As(err, &asked) { // it repeats the address, also that of a redirect, with its query
		return nil, fmt.Errorf("%s: %w", u.Host, asked.Err)
	}
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if err := retry.Refused(resp); err != nil {
		return nil, fmt.Errorf("%s %w", u.Host, err)
	}
	return file.ReadAll(resp.Body, limit)
}

// PolicySigner judges the Sigstore bundle beside the policy; *signature.Verifier is one.
type PolicySigner interface {
	Verify(digest [32]byte, bundle []byte) (signature.Certificate, error)
}

// publicRoot is whom Sigstore's public instance has everybody believe, as of
// publicRootDate: the target trusted_root.json of its TUF repository, unchanged
// from root metadata 14 to 16.
//
//go:embed trusted_root.json
var publicRoot []byte

const publicRootDate = "2026-11-27"

// NewPolicySigner is the signer that the policy must have: the release workflow
// of this service's own version, under the configured trusted root, else under
// that of Sigstore's public instance, which the program carries. Where the policy
// needs no signature it returns nil.
func NewPolicySigner(c Config) (PolicySigner, error) {
	if c.Unsigned {
		return nil, nil //nolint:nilnil // no signer is a value here
	}
	trust, err := trustedRoot(c)
	if err != nil {
		return nil, fmt.Errorf("MERO_KMS_TRUSTED_ROOT: %w", err)
	}
	v, err := signature.NewVerifier(trust, signature.Identity{Repository: repository, Workflow: release.KMS.Workflow(),
		Tag: c.tag()})
	if err != nil {
		return nil, fmt.Errorf("MERO_KMS_TRUSTED_ROOT: %w", err)
	}
	return v, nil
}

func trustedRoot(c Config) (root.TrustedMaterial, error) {
	if c.TrustedRoot != "" {
		return signature.TrustedRoot(c.TrustedRoot)
	}
	return root.NewTrustedRootFromJSON(publicRoot)
}

// policyTrust says in /health what the policy's signature rests on.
func (s *Service) policyTrust() string {
	switch {
	case s.parts.PolicySigner == nil:
		return ""
	case s.config.TrustedRoot != "":
		return s.config.TrustedRoot
	}
	return "Sigstore's public trusted root of " + publicRootDate
}

// signedBy fetches the policy's bundle, which stands beside it under the name
// that a release gives it, and returns who signed; empty when no signature is demanded.
func (s *policySource) signedBy(ctx context.Context, digest [32]byte) (string, error) {
	if s.signer == nil {
		return "", nil
	}
	u := *s.config.PolicyURL
	u.Path, u.RawPath = u.Path+release.BundleSuffix, ""
	bundle, err := s.fetch(ctx, &u, signature.MaxBundleSize)
	if err != nil {
		return "", fmt.Errorf("fetch the policy's signature: %w", err)
	}
	certificate, err := s.signer.Verify(digest, bundle)
	if err != nil {
		return "", fmt.Errorf("the policy's %w", err)
	}
	return certificate.SAN, nil
}

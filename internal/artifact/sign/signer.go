// Package sign signs release assets keylessly: Fulcio certificates, Rekor
// entries, RFC 3161 timestamps, Sigstore bundles v0.3.
//
// Its promise: one token, one key and one certificate sign a whole release, and
// no bundle is written that package signature's one verifier does not accept.
// Where to sign, package trust learns; who only verifies imports package signature.
package sign

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/sign"

	"github.com/calimero-network/mero-tee/internal/artifact/signature"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// signDeadline bounds one signature with all attempts of its requests.
const signDeadline = 2 * time.Minute

// Config says where and as whom to sign.
type Config struct {
	SigningConfig *root.SigningConfig // addresses of Fulcio, logs and timestamp authorities
	Token         TokenSource         // asked once
	Transport     http.RoundTripper   // nil means http.DefaultTransport

	Wait func(ctx context.Context, d time.Duration) error // between attempts; nil means retry.For
}

// Signer signs the assets of one release with one key and one certificate
// (valid for ten minutes). It is safe for concurrent use.
type Signer struct {
	transport   http.RoundTripper
	wait        func(context.Context, time.Duration) error
	key         *ephemeral
	certificate certificate
	logs        []root.Service
	timestamps  []root.Service
}

// NewSigner asks for one token and one certificate. Fulcio answers 429 to
// parallel requests for certificates; sharing one avoids it.
func NewSigner(ctx context.Context, c Config) (*Signer, error) {
	s := &Signer{transport: c.Transport, wait: c.Wait}
	authority, err := s.choose(c.SigningConfig, time.Now())
	if err != nil {
		return nil, &fault.Error{Code: fault.Usage, Message: "the signing config", Err: err}
	}
	token, err := c.Token(ctx)
	if err != nil {
		return nil, err
	}
	if s.key, err = newEphemeral(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, signDeadline)
	defer cancel()
	fulcio := sign.NewFulcio(&sign.FulcioOptions{BaseURL: authority.URL, Timeout: -1, Transport: s.persistent(ctx)})
	s.certificate, err = fulcio.GetCertificate(ctx, s.key, &sign.CertificateProviderOptions{IDToken: token})
	if err != nil {
		return nil, &fault.Error{Code: fault.General, Message: "requesting a signing certificate", Err: err}
	}
	return s, nil
}

// choose picks the services that are in use at the time now. A config without timestamp authorities is one of Rekor v1.
func (s *Signer) choose(c *root.SigningConfig, now time.Time) (authority root.Service, err error) {
	if c == nil {
		return authority, errors.New("there is none")
	}
	if authority, err = root.SelectService(c.FulcioCertificateAuthorityURLs(), sign.FulcioAPIVersions, now); err != nil {
		return authority, err
	}
	if s.logs, err = root.SelectServices(c.RekorLogURLs(), c.RekorLogURLsConfig(), sign.RekorAPIVersions,
		now); err != nil {
		return authority, err
	}
	stamps := c.TimestampAuthorityURLs()
	if len(stamps) == 0 {
		if s.logs[0].MajorAPIVersion > 1 {
			err = errors.New("a Rekor v2 log gives no time, and there is no timestamp authority")
		}
		return authority, err
	}
	s.timestamps, err = root.SelectServices(stamps, c.TimestampAuthorityURLsConfig(),
		sign.TimestampAuthorityAPIVersions, now)
	return authority, err
}

// Sign returns a Sigstore bundle v0.3, as JSON in our form, over the file with this SHA-256.
func (s *Signer) Sign(ctx context.Context, digest [32]byte) ([]byte, error) {
	return s.signed(ctx, digestContent(digest), prehashed{s.key})
}

// Attest returns a bundle whose envelope (DSSE) holds the in-toto statement.
func (s *Signer) Attest(ctx context.Context, statement []byte) ([]byte, error) {
	return s.signed(ctx, &sign.DSSEData{Data: statement, PayloadType: signature.StatementType}, s.key)
}

func (s *Signer) signed(ctx context.Context, content sign.Content, key sign.Keypair) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, signDeadline)
	defer cancel()
	raw, err := s.sign(ctx, content, key)
	if err != nil && ctx.Err() == nil {
		// A log that took an entry but whose answer was lost refuses the same entry (409): a new signature is a new entry.
		raw, err = s.sign(ctx, content, key)
	}
	if err != nil {
		return nil, &fault.Error{Code: fault.General, Message: "signing", Err: err}
	}
	return raw, nil
}

func (s *Signer) persistent(ctx context.Context) persistent {
	return persistent{ctx: ctx, next: s.transport, wait: s.wait}
}

func (s *Signer) sign(ctx context.Context, content sign.Content, key sign.Keypair) ([]byte, error) {
	transport := s.persistent(ctx)
	o := sign.BundleOptions{Context: ctx, CertificateProvider: s.certificate}
	for _, t := range s.timestamps {
		o.TimestampAuthorities = append(o.TimestampAuthorities,
			sign.NewTimestampAuthority(&sign.TimestampAuthorityOptions{URL: t.URL, Timeout: -1, Transport: transport}))
	}
	for _, l := range s.logs {
		log, err := newLog(l, transport)
		if err != nil {
			return nil, err
		}
		o.TransparencyLogs = append(o.TransparencyLogs, log)
	}
	b, err := sign.Bundle(content, key, o)
	if err != nil {
		return nil, err
	}
	return signature.Encode(b)
}

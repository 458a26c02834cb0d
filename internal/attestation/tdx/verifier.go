// Package tdx reads and judges Intel TDX evidence: quotes, registers, event
// logs and the profile's RTMR3.
//
// Its promise: what it calls verified was signed by a chain that ends in a
// root pinned by the caller, judged with collateral of that same root, and read
// without trusting a single length, status or register that was not checked.
package tdx

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-tdx-guest/pcs"
	"github.com/google/go-tdx-guest/verify"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// Verdict is what a verified quote states, and what Intel's collateral says
// about the platform that made it. Whether that is good enough is a policy's business.
type Verdict struct {
	Quote
	FMSPC                     string // 12 hex digits: the platform family
	Platform, Module, QE, TCB Status // TCB merges the other three; Module is empty before TDX 1.5
	Advisories                []string
	EvaluationNumber          int // the smaller tcbEvaluationDataNumber of TCB info and QE identity
	Root                      [32]byte
	At, Issued                time.Time // as of when it was reached; when Intel issued the TCB info
}

// Config is what a Verifier trusts.
type Config struct {
	Root                [32]byte // SHA-256 of the DER of the one trusted root certificate
	Collateral          CollateralSource
	Update              Update           // of Intel's collateral; empty: the standard one
	Now                 func() time.Time // nil means time.Now
	MinEvaluationNumber int
}

// Verifier decides about quotes; it is safe for concurrent use.
type Verifier struct{ config Config }

// NewVerifier refuses a configuration that would trust nothing or anything (exit code 2).
func NewVerifier(c Config) (*Verifier, error) {
	if c.Root == ([32]byte{}) {
		return nil, &fault.Error{Code: fault.Usage, Message: "no trusted TDX root",
			Expected: "the SHA-256 of a root certificate", Got: "zeros"}
	}
	if c.Collateral == nil {
		return nil, &fault.Error{Code: fault.Usage, Message: "no source of TDX collateral"}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Verifier{config: c}, nil
}

// At is a verifier of the same trust that judges by another update of Intel's collateral.
func (v *Verifier) At(u Update) *Verifier {
	c := v.config
	c.Update = u
	return &Verifier{config: c}
}

// AsOf is a verifier of the same trust that judges as of a time, by the
// collateral of that time.
func (v *Verifier) AsOf(at time.Time, source CollateralSource) *Verifier {
	c := v.config
	c.Collateral, c.Now = source, func() time.Time { return at }
	return &Verifier{config: c}
}

// Verify takes the whole decision about one quote but the policy's. It returns
// a *NotGenuine, ErrReportData, a *Violation or an *Unrated, and a verdict only
// without error.
func (v *Verifier) Verify(ctx context.Context, raw []byte, reportData [64]byte) (verdict *Verdict, err error) {
	defer func() {
		if r := recover(); r != nil {
			verdict, err = nil, &NotGenuine{fmt.Errorf("malformed evidence: %v", r)}
		}
	}()
	e, err := parseEvidence(raw)
	if err != nil {
		return nil, &NotGenuine{err}
	}
	verdict, err = v.genuine(ctx, e)
	var unrated *Unrated
	if err != nil && !errors.As(err, &unrated) {
		return nil, &NotGenuine{err}
	}
	if subtle.ConstantTimeCompare(verdict.ReportData[:], reportData[:]) != 1 {
		return nil, ErrReportData
	}
	if err := v.admissible(verdict); err != nil {
		return nil, err
	}
	if unrated != nil {
		return nil, unrated
	}
	return verdict, nil
}

// admissible holds what no policy can allow.
func (v *Verifier) admissible(d *Verdict) error {
	switch {
	case d.Debug():
		return &Violation{"td_attributes.debug", "clear", "set"}
	case d.Migratable():
		return &Violation{"td_attributes.migratable", "clear", "set"}
	case d.EvaluationNumber < v.config.MinEvaluationNumber:
		return &Violation{"tcb_evaluation_data_number",
			"at least " + strconv.Itoa(v.config.MinEvaluationNumber), strconv.Itoa(d.EvaluationNumber)}
	case d.TCB.Compare(Revoked) >= 0:
		return &Violation{"tcb_status", "anything but " + string(Revoked), string(d.TCB)}
	}
	return nil
}

// genuine proves that the quote was signed under the pinned root and judges
// its TCB; with an *Unrated there is a verdict too, without statuses. The pool
// holds that root alone: a nil pool would mean Intel's.
func (v *Verifier) genuine(ctx context.Context, e *evidence) (*Verdict, error) {
	chain, err := v.pinnedChain(e)
	if err != nil {
		return nil, err
	}
	now, rec := v.config.Now(), newRecorder(v.config.Collateral, v.config.Update, chain.RootCertificate)
	for _, c := range []*x509.Certificate{chain.PCKCertificate, chain.IntermediateCertificate, chain.RootCertificate} {
		if now.After(c.NotAfter) {
			return nil, &Ended{c.Subject.CommonName, c.NotAfter}
		}
	}
	roots := x509.NewCertPool()
	roots.AddCert(chain.RootCertificate)
	err = verify.TdxQuoteContext(ctx, e.proto, &verify.Options{
		TrustedRoots: roots, GetCollateral: true, CheckRevocations: true, Getter: rec,
		Now: &verify.TimeSet{PckCertChain: now, TcbInfo: now, QeIdentity: now, PckCrl: now, RootCaCrl: now},
	})
	if rec.failed != nil {
		return nil, rec.failed
	}
	if err != nil && !objectsToStatus(err) {
		return nil, blame(ctx, e, roots, now, err)
	}
	statements, err := rec.readStatements(now)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCollateral, err)
	}
	pck, err := pcs.PckCertificateExtensions(chain.PCKCertificate)
	if err != nil {
		return nil, err
	}
	verdict := &Verdict{Quote: e.quote, FMSPC: pck.FMSPC, Root: v.config.Root, At: now,
		Issued: statements.tcbInfo.IssueDate}
	return verdict, verdict.judge(statements, pck, e.qeReport)
}

// pinnedChain refuses a quote whose certificates do not lead to the pinned
// root before anything is fetched for it, so that no stranger chooses the
// addresses this service asks.
func (v *Verifier) pinnedChain(e *evidence) (*verify.PCKCertificateChain, error) {
	chain, err := verify.ExtractChainFromQuote(e.proto)
	if err != nil {
		return nil, err
	}
	if got := sha256.Sum256(chain.RootCertificate.Raw); got != v.config.Root {
		return nil, fmt.Errorf("its root is %x, not the pinned %x", got, v.config.Root)
	}
	if err := chain.IntermediateCertificate.CheckSignatureFrom(chain.RootCertificate); err != nil {
		return nil, fmt.Errorf("platform CA: %w", err)
	}
	if err := chain.PCKCertificate.CheckSignatureFrom(chain.IntermediateCertificate); err != nil {
		return nil, fmt.Errorf("PCK certificate: %w", err)
	}
	return chain, nil
}

// blame says whose fault it is that a quote was not verified: collateral that
// ended, was altered or is of another thing says nothing about the node. It is
// the collateral's when the quote alone verifies and go-tdx-guest says so in the
// words that open its message, where no text of the quote can stand; whatever
// else it says, a revocation and a foreign quoting enclave among it, is the quote's.
func blame(ctx context.Context, e *evidence, roots *x509.CertPool, now time.Time, err error) error {
	alone := verify.TdxQuoteContext(ctx, e.proto, &verify.Options{TrustedRoots: roots,
		Now: &verify.TimeSet{PckCertChain: now}})
	if alone != nil {
		return alone
	}
	for _, words := range []string{"unable to receive ", "could not verify collaterals obtained: ",
		"tcbInfo response verification failed: ", "tcbInfo ID ", "tcbInfo version ",
		"QeIdentity response verification failed: ", "QeIdentity ID ", "QeIdentity version ",
		"root CA CRL verification failed using ", "PCK CRL verification failed using ", "issuer's name(",
		"FMSPC from PCK Certificate(", "PCEID from PCK Certificate("} {
		if strings.HasPrefix(err.Error(), words) {
			return fmt.Errorf("%w: %w", ErrCollateral, err)
		}
	}
	for _, certificate := range []string{"PCK Leaf", "intermediate"} {
		if strings.HasPrefix(err.Error(), certificate+" certificate in PCK certificate chain was revoked at ") {
			return &Revocation{err}
		}
	}
	return err
}

// objectsToStatus says that go-tdx-guest verified every signature and stopped
// at a TCB status other than UpToDate, which judge evaluates itself: which
// statuses do is the policy's choice. The library wraps with %v, so only its
// words tell; they open the message, where no text of the quote can stand, and
// if they ever change the quote is refused.
func objectsToStatus(err error) bool {
	for _, words := range []string{
		"TDX TCB info reported by Intel PCS failed TCB status check: ",
		"QE Identity reported by Intel PCS failed TCB status check: ",
	} {
		if strings.HasPrefix(err.Error(), words) {
			return true
		}
	}
	return false
}

// ErrReportData says that a genuine quote does not answer this challenge.
var ErrReportData = errors.New("report data is not that of this challenge")

// ErrCollateral says that Intel's service gave no answer, or none that can be
// believed, so nothing could be decided about the quote. It is found inside a
// NotGenuine.
var ErrCollateral = errors.New("collateral cannot be had or believed")

// NotGenuine says that a quote is not proven to come from a TD on a platform
// under the pinned root (a key service answers 401).
type NotGenuine struct{ Err error }

func (e *NotGenuine) Error() string {
	if errors.Is(e.Err, ErrCollateral) {
		return "quote is undecided: " + e.Err.Error()
	}
	return "quote is not genuine: " + e.Err.Error()
}

// Unwrap gives errors.Is and errors.As the reason.
func (e *NotGenuine) Unwrap() error { return e.Err }

// Revocation says that Intel revoked a certificate under a quote that is signed
// as it should be. It is found inside a NotGenuine: whoever has the key of a
// revoked certificate can make such quotes.
type Revocation struct{ Err error }

func (e *Revocation) Error() string { return e.Err.Error() }

// Unwrap gives errors.Is and errors.As the reason.
func (e *Revocation) Unwrap() error { return e.Err }

// Ended says that a certificate under a quote was valid, and is not any more. It
// is found inside a NotGenuine: of a machine that answers now it is a refusal, of
// a quote that was proven before it is none.
type Ended struct {
	Certificate string // its subject
	On          time.Time
}

func (e *Ended) Error() string {
	return fmt.Sprintf("its certificate %q has ended on %s", e.Certificate, e.On.UTC().Format(time.DateOnly))
}

// Violation says that a genuine quote states something that is never allowed
// (a key service answers 403).
type Violation struct{ Field, Want, Got string }

func (e *Violation) Error() string {
	return fmt.Sprintf("%s is %s, not %s", e.Field, e.Got, e.Want)
}

// Unrated says that a genuine quote cannot be judged: Intel's collateral has no
// TCB level that its platform reaches. Levels are dropped after a TCB recovery,
// so a platform that had one when a release was measured may have none today.
type Unrated struct {
	Part             string // "platform", "TDX module", "quoting enclave"
	FMSPC            string
	EvaluationNumber int
	Issued           time.Time // of the TCB info
}

func (e *Unrated) Error() string {
	return fmt.Sprintf("the TCB cannot be judged: "+
		"Intel's collateral of %s (evaluation number %d, FMSPC %s) has no TCB level "+
		"that this %s reaches", e.Issued.UTC().Format(time.DateOnly), e.EvaluationNumber, e.FMSPC, e.Part)
}

// IntelRootSHA256 is the SHA-256 of the DER of "Intel SGX Root CA" (serial
// 22650cd65a9d3489f383b49552bf501b392706ac, valid 2018-05-21 to 2049-12-31),
// the root of every TDX quote that Intel's hardware signs. Source: the
// certificate embedded in go-tdx-guest 91f9a52, the same that real quotes carry, hashed with
// openssl and sha256sum on 2026-11-23.
const IntelRootSHA256 = "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3"

// ParseRoot reads a root's SHA-256 as 64 lower-case hex digits.
func ParseRoot(s string) ([32]byte, error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 32 || hex.EncodeToString(b) != s {
		return [32]byte{}, fmt.Errorf("TDX root %.70q is not 64 lower-case hex digits", s)
	}
	return [32]byte(b), nil
}

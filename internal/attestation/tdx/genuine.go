package tdx

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"strings"

	"github.com/google/go-tdx-guest/pcs"
	"github.com/google/go-tdx-guest/verify"
)

// genuine proves that the quote was signed under the pinned root and judges
// its TCB. The pool holds that root alone: a nil pool would mean Intel's.
func (v *Verifier) genuine(ctx context.Context, e *evidence) (*Verdict, error) {
	if verdict := v.recall(ctx, e); verdict != nil {
		return verdict, nil
	}
	chain, err := v.pinnedChain(e)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(chain.RootCertificate)
	now, rec := v.config.Now(), newRecorder(v.config.Collateral, chain.RootCertificate)
	err = verify.TdxQuoteContext(ctx, e.proto, &verify.Options{
		TrustedRoots: roots, GetCollateral: true, CheckRevocations: true, Getter: rec,
		Now: &verify.TimeSet{PckCertChain: now, TcbInfo: now, QeIdentity: now, PckCrl: now, RootCaCrl: now},
	})
	if rec.failed != nil {
		return nil, rec.failed
	}
	if err != nil && !objectsToStatus(err) {
		return nil, err
	}
	said, err := rec.readStatements(now)
	if err != nil {
		return nil, err
	}
	pck, err := pcs.PckCertificateExtensions(chain.PCKCertificate)
	if err != nil {
		return nil, err
	}
	verdict := &Verdict{Quote: e.quote, FMSPC: pck.FMSPC, Root: v.config.Root}
	if err := verdict.judge(said, pck, e.qeReport); err != nil {
		return nil, err
	}
	v.remember(e, rec, []*x509.Certificate{chain.PCKCertificate, chain.IntermediateCertificate, chain.RootCertificate}, *verdict, now)
	return verdict, nil
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

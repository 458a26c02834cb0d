package tdx

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-tdx-guest/pcs"
)

// CollateralSource answers the URLs of Intel's provisioning certification
// service: header and body of a 200 answer, which the caller does not change.
type CollateralSource interface {
	GetContext(ctx context.Context, url string) (header map[string][]string, body []byte, err error)
}

// recorder keeps the very bytes that go-tdx-guest verified, and asks only for
// collateral of the pinned root. One per verification.
type recorder struct {
	source   CollateralSource
	crlURLs  []string // of the pinned root
	failed   error    // of the last fetch
	tcbInfo  []byte
	identity []byte
	crls     [][]byte
	said     []said // every answer, in the order asked
}

func newRecorder(source CollateralSource, root *x509.Certificate) *recorder {
	return &recorder{source: source, crlURLs: root.CRLDistributionPoints}
}

// Get makes a recorder the library's trust.HTTPSGetter.
func (r *recorder) Get(url string) (map[string][]string, []byte, error) {
	return r.GetContext(context.Background(), url)
}

// GetContext fetches and records. The root CRL's address comes from a header of
// the QE identity's answer, before anything was verified, so an address
// that the pinned root does not name itself is refused.
func (r *recorder) GetContext(ctx context.Context, url string) (map[string][]string, []byte, error) {
	isCRL := slices.Contains(r.crlURLs, url) || strings.HasPrefix(url, pcs.SgxBaseURL+"/pckcrl?")
	if !isCRL && !strings.HasPrefix(url, pcs.TdxBaseURL+"/") {
		return nil, nil, fmt.Errorf("%.200q is no address of collateral under the pinned root", url)
	}
	header, body, err := r.source.GetContext(ctx, url)
	r.failed = nil
	if err != nil {
		r.failed = fmt.Errorf("%w: %w", ErrCollateral, err)
		return nil, nil, err
	}
	r.said = append(r.said, said{url, body})
	switch {
	case isCRL:
		r.crls = append(r.crls, body)
	case strings.HasPrefix(url, pcs.TdxBaseURL+"/tcb?"):
		r.tcbInfo = body
	case url == pcs.QeIdentityURL():
		r.identity = body
	}
	return header, body, nil
}

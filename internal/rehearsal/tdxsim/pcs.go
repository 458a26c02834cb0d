package tdxsim

import (
	"crypto/x509"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
)

const (
	pcsHost          = "api.trustedservices.intel.com"
	certificatesHost = "certificates.rehearsal.invalid"
	rootCRLPath      = "/SimulatorRootCA.der"
)

// Hosts are the names that a verifier asks; one PCS answers for all of them.
func Hosts() []string { return []string{pcsHost, certificatesHost} }

// PCS is Intel's provisioning certification service for some platforms, and
// the host of the root CRL. It is an http.Handler.
type PCS struct {
	pki       *PKI
	platforms []*Platform
	now       func() time.Time
	mu        sync.Mutex
	faults    Faults
}

// NewPCS says that everything is up to date, as of an hour ago, for 30 days.
func NewPCS(pki *PKI, now func() time.Time, platforms ...*Platform) *PCS {
	return &PCS{pki: pki, platforms: platforms, now: now, faults: Faults{
		Platform: tdx.UpToDate, Module: tdx.UpToDate, QE: tdx.UpToDate,
		EvaluationNumber: 17, Age: time.Hour, Validity: 30 * 24 * time.Hour}}
}

// Change changes the faults, also while the service runs.
func (s *PCS) Change(change func(*Faults)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.faults)
}

func (s *PCS) current() Faults {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faults
}

// ServeHTTP answers /tdx/certification/v4/{tcb,qe/identity},
// /sgx/certification/v4/pckcrl and the root CRL's path.
func (s *PCS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := s.current()
	if f.Hang {
		<-r.Context().Done()
		return
	}
	if f.Unavailable {
		http.Error(w, "service unavailable", http.StatusServiceUnavailable)
		return
	}
	a, err := s.answer(f, r.URL)
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	case a.body == nil:
		http.NotFound(w, r)
		return
	}
	if f.Tamper != nil {
		a.body = f.Tamper(r.URL.Path, a.body)
	}
	if a.chainHeader != "" {
		w.Header().Set(a.chainHeader, issuerChain(a.signer, s.pki.root))
	}
	w.Header().Set("Content-Type", a.contentType)
	_, _ = w.Write(a.body) // a client that left is no fault of the service
}

// answer is one document; without a body there is none.
type answer struct {
	chainHeader, contentType string
	signer                   authority
	body                     []byte
}

func (s *PCS) answer(f Faults, u *url.URL) (a answer, err error) {
	const jsonType, crlType = "application/json", "application/pkix-crl"
	issued := s.now().Add(-f.Age).UTC().Truncate(time.Second)
	next := s.now().Add(f.Validity).UTC().Truncate(time.Second)
	switch u.Path {
	case "/tdx/certification/v4/tcb":
		a = answer{"TCB-Info-Issuer-Chain", jsonType, s.pki.tcb, nil}
		if p := s.platform(u.Query().Get("fmspc")); p != nil {
			a.body, err = p.tcbInfo(f, issued, next)
		}
	case "/tdx/certification/v4/qe/identity":
		a = answer{"SGX-Enclave-Identity-Issuer-Chain", jsonType, s.pki.tcb, nil}
		a.body, err = s.pki.qeIdentity(f, issued, next)
	case "/sgx/certification/v4/pckcrl":
		a = answer{"SGX-PCK-CRL-Issuer-Chain", crlType, s.pki.platformCA, nil}
		if u.Query().Get("ca") == "platform" && u.Query().Get("encoding") == "der" {
			a.body, err = s.pki.crl(s.pki.platformCA, issued, next, s.revokedPCKs(f))
		}
	case rootCRLPath:
		a.contentType = crlType
		a.body, err = s.pki.crl(s.pki.root, issued, next, s.revokedCAs(f))
	}
	return a, err
}

func (s *PCS) platform(fmspc string) *Platform {
	for _, p := range s.platforms {
		if strings.EqualFold(p.FMSPC(), fmspc) {
			return p
		}
	}
	return nil
}

// issuerChain is signer and root in PEM, percent-encoded as the service does it.
func issuerChain(signer, root authority) string {
	return strings.ReplaceAll(url.QueryEscape(string(signer.pem())+string(root.pem())), "+", "%20")
}

// Faults are what the service tells, true or not, and how it fails.
type Faults struct {
	Platform, Module, QE tdx.Status
	EvaluationNumber     int
	Age, Validity        time.Duration // issued Age ago, next update in Validity; negative for the other side of now
	RevokePCK            bool
	RevokePlatformCA     bool
	RevokeTCBSigning     bool
	UpperFMSPC           bool // as Intel's own service writes it
	Unavailable          bool // 503
	Hang                 bool // no answer until the client gives up
	Tamper               func(path string, body []byte) []byte
}

func (s *PCS) revokedPCKs(f Faults) (out []*x509.Certificate) {
	if f.RevokePCK {
		for _, p := range s.platforms {
			out = append(out, p.pck.cert)
		}
	}
	return out
}

func (s *PCS) revokedCAs(f Faults) (out []*x509.Certificate) {
	if f.RevokePlatformCA {
		out = append(out, s.pki.platformCA.cert)
	}
	if f.RevokeTCBSigning {
		out = append(out, s.pki.tcb.cert)
	}
	return out
}

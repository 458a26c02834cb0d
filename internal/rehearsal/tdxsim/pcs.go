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
	knobs     Knobs
}

// NewPCS says that everything is up to date, as of an hour ago, for 30 days.
func NewPCS(pki *PKI, now func() time.Time, platforms ...*Platform) *PCS {
	return &PCS{pki: pki, platforms: platforms, now: now, knobs: Knobs{
		Platform: tdx.UpToDate, Module: tdx.UpToDate, QE: tdx.UpToDate,
		EvaluationNumber: 17, Age: time.Hour, Validity: 30 * 24 * time.Hour}}
}

// Turn changes the knobs, also while the service runs.
func (s *PCS) Turn(change func(*Knobs)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.knobs)
}

func (s *PCS) current() Knobs {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.knobs
}

// ServeHTTP answers /tdx/certification/v4/{tcb,qe/identity},
// /sgx/certification/v4/pckcrl and the root CRL's path.
func (s *PCS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k := s.current()
	if k.Hang {
		<-r.Context().Done()
		return
	}
	if k.Unavailable {
		http.Error(w, "service unavailable", http.StatusServiceUnavailable)
		return
	}
	a, err := s.answer(k, r.URL)
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	case a.body == nil:
		http.NotFound(w, r)
		return
	}
	if k.Tamper != nil {
		a.body = k.Tamper(r.URL.Path, a.body)
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

func (s *PCS) answer(k Knobs, u *url.URL) (a answer, err error) {
	const jsonType, crlType = "application/json", "application/pkix-crl"
	issued := s.now().Add(-k.Age).UTC().Truncate(time.Second)
	next := s.now().Add(k.Validity).UTC().Truncate(time.Second)
	switch u.Path {
	case "/tdx/certification/v4/tcb":
		a = answer{"TCB-Info-Issuer-Chain", jsonType, s.pki.tcb, nil}
		if p := s.platform(u.Query().Get("fmspc")); p != nil {
			a.body, err = p.tcbInfo(k, issued, next)
		}
	case "/tdx/certification/v4/qe/identity":
		a = answer{"SGX-Enclave-Identity-Issuer-Chain", jsonType, s.pki.tcb, nil}
		a.body, err = s.pki.qeIdentity(k, issued, next)
	case "/sgx/certification/v4/pckcrl":
		a = answer{"SGX-PCK-CRL-Issuer-Chain", crlType, s.pki.platformCA, nil}
		if u.Query().Get("ca") == "platform" && u.Query().Get("encoding") == "der" {
			a.body, err = s.pki.crl(s.pki.platformCA, issued, next, s.revokedPCKs(k))
		}
	case rootCRLPath:
		a.contentType = crlType
		a.body, err = s.pki.crl(s.pki.root, issued, next, s.revokedCAs(k))
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

// Knobs are what the service says, and the faults it shows.
type Knobs struct {
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

func (s *PCS) revokedPCKs(k Knobs) (out []*x509.Certificate) {
	if k.RevokePCK {
		for _, p := range s.platforms {
			out = append(out, p.pck.cert)
		}
	}
	return out
}

func (s *PCS) revokedCAs(k Knobs) (out []*x509.Certificate) {
	if k.RevokePlatformCA {
		out = append(out, s.pki.platformCA.cert)
	}
	if k.RevokeTCBSigning {
		out = append(out, s.pki.tcb.cert)
	}
	return out
}

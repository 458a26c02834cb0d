package tdxsim

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

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

// NewPCS says that everything is up to date, as of an hour ago, for 30 days. A
// TCB recovery is under way, as it is for most of a year: the early update has
// a higher number than the standard one.
func NewPCS(pki *PKI, now func() time.Time, platforms ...*Platform) *PCS {
	good := Set{Platform: tdx.UpToDate, Module: tdx.UpToDate, QE: tdx.UpToDate, EvaluationNumber: 17}
	early := good
	early.EvaluationNumber++
	return &PCS{pki: pki, platforms: platforms, now: now, faults: Faults{Set: good, Early: early,
		Families: map[string]Family{}, Age: time.Hour, Validity: 30 * 24 * time.Hour}}
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
// /sgx/certification/v4/pckcrl and the root CRL's path. A refusal has a status
// and no body.
func (s *PCS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := s.current()
	if f.Hang {
		<-r.Context().Done()
		return
	}
	w.Header().Set("Request-ID", strings.ReplaceAll(uuid.NewString(), "-", ""))
	a, err := s.answer(f, r)
	switch refused := refusal(0); {
	case errors.As(err, &refused):
		if refused == http.StatusTooManyRequests && f.RetryAfter != "" {
			w.Header().Set("Retry-After", f.RetryAfter)
		}
		w.WriteHeader(int(refused))
		return
	case err != nil:
		w.WriteHeader(http.StatusInternalServerError)
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

// refusal is the status of an answer that is none.
type refusal int

func (r refusal) Error() string { return http.StatusText(int(r)) }

const (
	malformed = refusal(http.StatusBadRequest)
	unknown   = refusal(http.StatusNotFound)
	gone      = refusal(http.StatusGone)
)

// answer is one document.
type answer struct {
	chainHeader, contentType string
	signer                   authority
	body                     []byte
}

const jsonType, derType, pemType = "application/json", "application/pkix-crl", "application/x-pem-file"

func (s *PCS) answer(f Faults, r *http.Request) (answer, error) {
	switch {
	case f.Unavailable:
		return answer{}, refusal(http.StatusServiceUnavailable)
	case f.Busy:
		return answer{}, refusal(http.StatusTooManyRequests)
	case r.Method != http.MethodGet:
		return answer{}, refusal(http.StatusMethodNotAllowed)
	}
	issued := s.now().Add(-f.Age).UTC().Truncate(time.Second)
	next := s.now().Add(f.Validity).UTC().Truncate(time.Second)
	q, err := parameters(r.URL)
	if err != nil {
		return answer{}, err
	}
	switch r.URL.Path {
	case "/tdx/certification/v4/tcb":
		return s.tcbInfo(f, q, issued, next)
	case "/tdx/certification/v4/qe/identity":
		set, err := chosen(f.Set, f.Early, q)
		if err != nil {
			return answer{}, err
		}
		body, err := s.pki.qeIdentity(set, issued, next)
		return answer{"SGX-Enclave-Identity-Issuer-Chain", jsonType, s.pki.tcb, body}, err
	case "/sgx/certification/v4/pckcrl":
		return s.pckCRL(f, q, issued, next)
	case rootCRLPath:
		body, err := s.pki.crl(s.pki.root, issued, next, s.revokedCAs(f))
		return answer{contentType: derType, body: body}, err
	}
	return answer{}, unknown
}

// accepted are the parameters of each path, with the form of their values.
var accepted = map[string]map[string]*regexp.Regexp{
	"/tdx/certification/v4/tcb": {"fmspc": regexp.MustCompile(`^[0-9a-fA-F]{12}$`), "update": updates,
		"tcbEvaluationDataNumber": number},
	"/tdx/certification/v4/qe/identity": {"update": updates, "tcbEvaluationDataNumber": number},
	"/sgx/certification/v4/pckcrl": {"ca": regexp.MustCompile(`^(processor|platform)$`),
		"encoding": regexp.MustCompile(`^(pem|der)$`)},
}

var updates, number = regexp.MustCompile(`^(early|standard)$`), regexp.MustCompile(`^[0-9]{1,9}$`)

// parameters refuses what the interface does not name, what is there twice, and
// values of another form. "Cannot be used with" excludes the update beside a number.
func parameters(u *url.URL) (url.Values, error) {
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, malformed
	}
	forms, known := accepted[u.Path]
	for name, values := range q {
		form := forms[name]
		if known && (form == nil || len(values) != 1 || !form.MatchString(values[0])) {
			return nil, malformed
		}
	}
	if q.Has("update") && q.Has("tcbEvaluationDataNumber") {
		return nil, malformed
	}
	return q, nil
}

// chosen is the set that was asked for. The service keeps the two: what is older is gone.
func chosen(standard, early Set, q url.Values) (Set, error) {
	if q.Get("update") == "early" {
		return early, nil
	}
	if !q.Has("tcbEvaluationDataNumber") {
		return standard, nil
	}
	switch n, _ := strconv.Atoi(q.Get("tcbEvaluationDataNumber")); {
	case n == standard.EvaluationNumber:
		return standard, nil
	case n == early.EvaluationNumber:
		return early, nil
	case n < standard.EvaluationNumber:
		return Set{}, gone
	}
	return Set{}, unknown
}

func (s *PCS) tcbInfo(f Faults, q url.Values, issued, next time.Time) (answer, error) {
	if !q.Has("fmspc") {
		return answer{}, malformed
	}
	p := s.platform(q.Get("fmspc"))
	if p == nil {
		return answer{}, unknown
	}
	standard, early := f.Set, f.Early
	if own, ok := f.Families[p.FMSPC()]; ok {
		standard, early = own.Standard, own.Early
	}
	set, err := chosen(standard, early, q)
	if err != nil {
		return answer{}, err
	}
	body, err := p.tcbInfo(set, issued, next)
	return answer{"TCB-Info-Issuer-Chain", jsonType, s.pki.tcb, body}, err
}

// pckCRL has one CA's list: no simulated machine is certified by the processor CA.
func (s *PCS) pckCRL(f Faults, q url.Values, issued, next time.Time) (answer, error) {
	switch q.Get("ca") {
	case "":
		return answer{}, malformed
	case "processor":
		return answer{}, unknown
	}
	body, err := s.pki.crl(s.pki.platformCA, issued, next, s.revokedPCKs(f))
	contentType := derType
	if q.Get("encoding") != "der" {
		contentType, body = pemType, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: body})
	}
	return answer{"SGX-PCK-CRL-Issuer-Chain", contentType, s.pki.platformCA, body}, err
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

// Set is what one update of the collateral says.
type Set struct {
	Platform, Module, QE tdx.Status
	EvaluationNumber     int
	NoLevel              string // "platform", "module", "enclave": has no level any more
}

// Family is a platform family with statuses of its own.
type Family struct{ Standard, Early Set }

// Faults are what the service tells, true or not, and how it fails.
type Faults struct {
	Set                                // the standard update, which it gives when none is asked for
	Early            Set               // the early update
	Families         map[string]Family // by FMSPC, those of which something else is said; not the enclave's
	Age, Validity    time.Duration     // issued Age ago, next update in Validity; negative for the other side of now
	RevokePCK        bool
	RevokePlatformCA bool
	RevokeTCBSigning bool
	Unavailable      bool   // 503
	Busy             bool   // 429
	RetryAfter       string // of a 429; empty: none
	Hang             bool   // no answer until the client gives up
	Tamper           func(path string, body []byte) []byte
}

// Recover tells of a family what a TCB recovery makes of it, update by update.
func (s *PCS) Recover(p *Platform, change func(*Family)) {
	s.Change(func(f *Faults) {
		own, ok := f.Families[p.FMSPC()]
		if !ok {
			own = Family{f.Set, f.Early}
		}
		change(&own)
		families := maps.Clone(f.Families) // a request may be reading it
		families[p.FMSPC()] = own
		f.Families = families
	})
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

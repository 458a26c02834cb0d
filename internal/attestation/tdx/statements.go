package tdx

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/go-tdx-guest/pcs"
)

// CollateralSource answers the URLs of Intel's provisioning certification
// service: header and body of a 200 answer, which the caller does not change.
type CollateralSource interface {
	GetContext(ctx context.Context, url string) (header map[string][]string, body []byte, err error)
}

// Update is one of the two updates of its statements that Intel's service keeps.
type Update string

// The updates. After a TCB recovery the early one changes at once and the standard
// one up to a year later; each says so by its tcbEvaluationDataNumber. The service
// gives the standard one to whoever does not ask for another.
const (
	Standard Update = ""
	Early    Update = "early"
)

// of is the address of this update of what url names. Revocation lists have none.
func (u Update) of(address string) string {
	switch {
	case u == Standard:
		return address
	case strings.HasPrefix(address, pcs.TdxBaseURL+"/tcb?"):
		return address + "&update=" + url.QueryEscape(string(u))
	case address == pcs.QeIdentityURL():
		return address + "?update=" + url.QueryEscape(string(u))
	}
	return address
}

// recorder keeps the very bytes that go-tdx-guest verified, and asks only for
// collateral of the pinned root. One per verification.
type recorder struct {
	source   CollateralSource
	update   Update
	crlURLs  []string // of the pinned root
	failed   error    // of the last fetch
	tcbInfo  []byte
	identity []byte
	crls     [][]byte
}

func newRecorder(source CollateralSource, update Update, root *x509.Certificate) *recorder {
	return &recorder{source: source, update: update, crlURLs: root.CRLDistributionPoints}
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
	header, body, err := r.source.GetContext(ctx, r.update.of(url))
	r.failed = nil
	if err != nil {
		r.failed = fmt.Errorf("%w: %w", ErrCollateral, err)
		return nil, nil, err
	}
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

// clockSkew is how far ahead of our clock Intel's may be.
const clockSkew = 5 * time.Minute

// statements are Intel's signed words about a platform family.
type statements struct {
	tcbInfo  pcs.TcbInfo
	identity pcs.EnclaveIdentity
}

// readStatements decodes what the recorder kept and refuses collateral that
// was issued after now.
func (r *recorder) readStatements(now time.Time) (*statements, error) {
	var s statements
	if err := readSigned(r.tcbInfo, "tcbInfo", &s.tcbInfo); err != nil {
		return nil, err
	}
	if err := readSigned(r.identity, "enclaveIdentity", &s.identity); err != nil {
		return nil, err
	}
	issued := []time.Time{s.tcbInfo.IssueDate, s.identity.IssueDate}
	for _, der := range r.crls {
		crl, err := x509.ParseRevocationList(der)
		if err != nil {
			return nil, err
		}
		issued = append(issued, crl.ThisUpdate)
	}
	for _, t := range issued {
		if t.After(now.Add(clockSkew)) {
			return nil, fmt.Errorf("collateral was issued in the future, on %s", t.UTC().Format(time.RFC3339))
		}
	}
	return &s, nil
}

// readSigned decodes the value of name in {name: …, "signature": …}, the bytes
// under the signature. go-tdx-guest judges by its own decoding of the whole
// answer, in which encoding/json lets a second or differently spelled key
// ("TcbInfo") override the signed one; so nothing else may be there.
func readSigned(body []byte, name string, v any) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return fmt.Errorf("%s: not a JSON object", name)
	}
	members := map[string]json.RawMessage{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		k, _ := key.(string)
		if _, twice := members[k]; twice || (k != name && k != "signature") {
			return fmt.Errorf("%s: unexpected member %.40q beside the signed value", name, k)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		members[k] = value
	}
	if members[name] == nil {
		return errors.New(name + ": missing in the answer")
	}
	return json.Unmarshal(members[name], v)
}

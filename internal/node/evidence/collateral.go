package evidence

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// Collateral is what Intel's service said of the platforms, sorted by address:
// TCB infos, QE identity and revocation lists, each with the chain that vouches
// for it. All boots of a file rest on the one that is in it.
type Collateral []Answer

// Answer is one answer of Intel's service.
type Answer struct {
	URL   string `json:"url"`
	Chain string `json:"issuer_chain,omitempty"` // PEM: signer, root; the root's own list has none
	Body  []byte `json:"body"`                   // gzip, base64
}

// maxAnswer is the largest answer that is read, in bytes; a TCB info has about 20,000.
const maxAnswer = 4 << 20

// maxAnswers is how many are read: two machines of different families need five.
const maxAnswers = 16

// Keep is the collateral as the file carries it.
func Keep(s tdx.Stored) (Collateral, error) {
	out := make(Collateral, len(s))
	for i, a := range s {
		body, err := compress(a.Body)
		if err != nil {
			return nil, err
		}
		out[i] = Answer{URL: a.URL, Chain: a.Chain, Body: body}
	}
	return out, nil
}

// Digest is that of the answers themselves, however they are packed; of what
// cannot be unpacked it is zero.
func (c Collateral) Digest() digest.Digest {
	kept, err := c.open()
	if err != nil {
		return digest.Digest{}
	}
	return kept.Digest()
}

// check: without its collateral no boot can be verified as of its time.
func (c Collateral) check() error {
	switch {
	case len(c) == 0:
		return fault.Mismatch("the evidence carries no collateral: its boots cannot be verified as of their time",
			"what Intel's service said of their platforms", "nothing")
	case len(c) > maxAnswers:
		return fault.Mismatch("the evidence carries more collateral than boots can rest on",
			fmt.Sprintf("at most %d answers of Intel's service", maxAnswers), fmt.Sprint(len(c)))
	}
	return nil
}

// open unpacks the collateral.
func (c Collateral) open() (*opened, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	out := &opened{Stored: make(tdx.Stored, len(c)), asked: map[string]bool{}}
	for i, a := range c {
		body, err := decompress(a.Body, maxAnswer)
		if err != nil {
			return nil, &fault.Error{Code: fault.Verification, Err: err,
				Message: fmt.Sprintf("the collateral of %.200q cannot be unpacked", a.URL)}
		}
		out.Stored[i] = tdx.Answer{URL: a.URL, Chain: a.Chain, Body: body}
	}
	return out, nil
}

// opened is unpacked collateral that remembers what was asked of it.
type opened struct {
	tdx.Stored
	asked map[string]bool
}

// GetContext answers what was kept. It is not safe for concurrent use.
func (o *opened) GetContext(ctx context.Context, url string) (map[string][]string, []byte, error) {
	o.asked[url] = true
	return o.Stored.GetContext(ctx, url)
}

// used: an answer that no quote asked for was verified by nobody.
func (o *opened) used() error {
	var idle []string
	for _, a := range o.Stored {
		if !o.asked[a.URL] {
			idle = append(idle, fmt.Sprintf("%.200q", a.URL))
		}
	}
	if len(idle) > 0 {
		return fault.Mismatch("the evidence carries collateral that is of none of its quotes", "what its boots rest on alone",
			strings.Join(idle, ", "))
	}
	return nil
}

// unfit says that the collateral in the file, which is as much of the release as
// the quotes, does not prove a boot: that is a finding, where a service that
// cannot be asked is none.
func unfit(i int, err error) error {
	return &fault.Error{Code: fault.Verification,
		Message: fmt.Sprintf("boot %d: the evidence's collateral does not judge its quote", i+1), Err: err,
		Expected: "Intel's words about the quote's platform, as of the boot, under the pinned root", Got: reason(err)}
}

// reason is the innermost part that has words of its own.
func reason(err error) string {
	var undecided *tdx.NotGenuine
	var unrated *tdx.Unrated
	switch {
	case errors.As(err, &undecided):
		err = undecided.Err
	case errors.As(err, &unrated):
		err = unrated
	}
	return err.Error()
}

// Today verifies the quote of a proven boot once more, by what Intel says now.
// The error is a *tdx.NotGenuine (with a *tdx.Revocation or tdx.ErrCollateral in
// it), a *tdx.Violation or a *tdx.Unrated; none of them means that it was not
// genuine then.
func (o *Observation) Today(ctx context.Context, v *tdx.Verifier) (*tdx.Verdict, error) {
	return v.Verify(ctx, o.Report.Quote, o.Verdict.ReportData)
}

// Package ita has TDX quotes appraised by Intel Trust Authority, as a second
// opinion beside our own verification.
//
// Its promise: an appraisal is returned only when a token, signed under the one
// pinned root and revoked by nobody, issued by the configured service, to no
// other audience and not expired, says of the very quote what our own verdict
// says. The API key goes to the API's host alone and into no message.
package ita

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/retry"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// APIURL is Intel's service outside the EU.
const APIURL = "https://api.trustauthority.intel.com"

// deadline bounds one appraisal, all requests and pauses together.
const deadline = 3 * time.Minute

// Config says whom to ask and whom to believe. All fields but Now are required.
// Verifier is that of our own verdicts, asked again for Intel's early update
// where the service judged by another evaluation number.
type Config struct {
	URL       string        // ITA_API_URL, https://api.…
	Key       config.Secret // ITA_API_KEY, an attestation API key
	Root      [32]byte      // SHA-256 of the DER of the one root of token signatures
	Transport http.RoundTripper
	Verifier  *tdx.Verifier
	Now       func() time.Time // nil means time.Now
}

// Client asks one service. It is safe for concurrent use.
type Client struct {
	api, portal string        // "https://api.…", "https://portal.…": Intel's API URL and base URL
	key         func() string // not the key: fmt prints a Secret in an unexported field as it is
	root        [32]byte
	verifier    *tdx.Verifier
	now         func() time.Time
	http        *http.Client
}

// New refuses a configuration that trusts nothing or asks nobody (exit code 2).
//
// Intel's own connector (trustauthority-client v1.7.0) is not used: it makes its
// own HTTP transport, takes the root from the key set that it verifies, checks
// neither issuer nor audience, repeats no 429, and reads answers of any size.
func New(c Config) (*Client, error) {
	api, portal, err := addresses(c.URL)
	switch {
	case err != nil:
		return nil, err
	case c.Key == "":
		return nil, &fault.Error{Code: fault.Usage, Message: "no key for Intel Trust Authority", Expected: "ITA_API_KEY",
			Got: "not set"}
	case c.Root == [32]byte{}:
		return nil, &fault.Error{Code: fault.Usage, Message: "no trusted root of Intel Trust Authority",
			Expected: "the SHA-256 of a root certificate", Got: "zeros"}
	case c.Transport == nil:
		return nil, &fault.Error{Code: fault.Usage, Message: "no transport to Intel Trust Authority"}
	case c.Verifier == nil:
		return nil, &fault.Error{Code: fault.Usage, Message: "no verifier to compare Intel Trust Authority with"}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Client{api: api, portal: portal, key: c.Key.Reveal, root: c.Root, verifier: c.Verifier, now: c.Now,
		http: &http.Client{Transport: c.Transport, Timeout: callDeadline,
			// net/http would take the x-api-key header along to any host.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

// addresses are the API URL and the base URL that belong together: "Base URL —
// https://portal.eu.trustauthority.intel.com, API URL — https://api.eu.trustauthority.intel.com".
func addresses(raw string) (api, portal string, err error) {
	u, err := url.Parse(strings.TrimSuffix(raw, "/"))
	if err == nil {
		rest, ok := strings.CutPrefix(u.Host, "api.")
		if ok && rest != "" && u.String() == "https://"+u.Host {
			return u.String(), "https://portal." + rest, nil
		}
	}
	return "", "", &fault.Error{Code: fault.Usage, Message: "ITA_API_URL",
		Expected: APIURL + ", or another https://api.… without a path", Got: fmt.Sprintf("%.100q", raw)}
}

// Appraisal is what the service vouches for.
type Appraisal struct {
	ID    string // the token's jti, by which Intel finds it again
	Token string // the JWT
}

// Appraise has the quote appraised and compares the result with ours, the
// verdict of the same quote over report data that holds a nonce of the caller's:
// that nonce makes the answer fresh, so none of the service's is asked for.
// A failed check is an error of code Verification; a service that is out of
// reach is one of code General, one that refuses the key of code Usage. When the
// two judged by different collateral, it is ErrIncomparable.
func (c *Client) Appraise(ctx context.Context, quote []byte, ours *tdx.Verdict) (*Appraisal, error) {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	raw, err := c.attest(ctx, quote)
	if err != nil {
		return nil, err
	}
	said, err := c.verify(ctx, raw)
	if err != nil {
		return nil, err
	}
	if err := c.compare(ctx, quote, ours, said.TDX); err != nil {
		return nil, err
	}
	return &Appraisal{ID: said.ID, Token: raw}, nil
}

// attest is POST /appraisal/v2/attest with a quote and without "verifier_nonce":
// with one, the service would demand report data of SHA-512(val ‖ iat ‖ runtime_data).
func (c *Client) attest(ctx context.Context, quote []byte) (string, error) {
	type evidence struct {
		Quote []byte `json:"quote"`
	}
	body, err := json.Marshal(map[string]evidence{"tdx": {quote}})
	if err != nil {
		return "", err
	}
	data, err := c.ask(ctx, http.MethodPost, c.api+"/appraisal/v2/attest", body)
	if err != nil {
		return "", c.explain("the quote", err)
	}
	var answer struct {
		Token string `json:"token"`
	}
	if err := json.Unmarshal(data, &answer); err != nil || answer.Token == "" {
		return "", failed("the answer holds no token", err)
	}
	return answer.Token, nil
}

// explain turns an answer into an error for people; what names the thing that was asked about.
func (c *Client) explain(what string, err error) error {
	var answer *refused
	switch {
	case !errors.As(err, &answer) || retry.Busy(answer.status):
		return &fault.Error{Code: fault.General, Message: "Intel Trust Authority gave no answer about " + what, Err: err,
			Hint: "run the step again; what is done already is not repeated"}
	case answer.status == http.StatusUnauthorized || answer.status == http.StatusForbidden:
		return &fault.Error{Code: fault.Usage, Message: "Intel Trust Authority refuses the key", Err: err,
			Expected: "an attestation API key in ITA_API_KEY", Got: fmt.Sprintf("status %d", answer.status)}
	}
	return fault.Mismatch("Intel Trust Authority refuses "+what, "status 200", err.Error())
}

// failed names what a check failed on, unless err says it all.
func failed(message string, err error) error {
	var complete *fault.Error
	if errors.As(err, &complete) {
		return err
	}
	return &fault.Error{Code: fault.Verification, Message: "Intel Trust Authority: " + message, Err: err}
}

// Ready asks for a nonce, which has no effect there: address and key are those
// of the service when it gives one.
func (c *Client) Ready(ctx context.Context) error {
	data, err := c.ask(ctx, http.MethodGet, c.api+"/appraisal/v2/nonce", nil)
	if err != nil {
		return c.explain("a nonce", err)
	}
	var nonce struct{ Val, Iat, Signature []byte }
	if err := json.Unmarshal(data, &nonce); err != nil || len(nonce.Val) == 0 || len(nonce.Signature) == 0 {
		return failed("the answer holds no nonce", err)
	}
	return nil
}

package dstack

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/retry"
)

// Refusal is an answer of the provider that is not a success.
type Refusal struct {
	Status  int
	Code    string        // the provider's, for example ERR-01-004; empty when it gave none
	Message string        // the provider's own words, cut to 400 bytes
	after   time.Duration // Retry-After
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("the provider answered %d: %s", r.Status, r.Message)
}

// quota tells a workspace that is full from one that asks too often.
func (r *Refusal) quota() bool { return r.Code != "" && r.Code != "ERR-05-002" }

func isStatus(err error, status int) bool {
	var r *Refusal
	return errors.As(err, &r) && r.Status == status
}

func isCode(err error, code string) bool {
	var r *Refusal
	return errors.As(err, &r) && r.Code == code
}

// The codes that a person can do something about (ErrorCodes of npm @phala/cloud 0.2.9).
var advice = map[string]string{
	"ERR-01-004": "a CVM of that name is not this run's, and is left alone: delete it yourself if nobody needs it, " +
		"or run again",
	"ERR-04-001": "the workspace has no balance left: top it up at the provider",
}

// refused turns the answers that a person can do something about into advice.
func refused(req *http.Request, resp *http.Response, body []byte) error {
	said, code := words(body)
	out := &fault.Error{Code: fault.General, Message: fmt.Sprintf("%s %s", req.Method, req.URL.Path),
		Err:  &Refusal{Status: resp.StatusCode, Code: code, Message: said, after: retry.After(resp.Header)},
		Hint: advice[code]}
	switch status := resp.StatusCode; {
	case out.Hint != "":
	case status == http.StatusForbidden && strings.Contains(said, "error code: 10"):
		out.Hint = "the provider's edge refused this program by its User-Agent or its network: ask from another network"
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		out.Code, out.Hint = fault.Usage,
			"check PHALA_CLOUD_API_KEY: the key must belong to the workspace at PHALA_DSTACK_URL"
	case status == http.StatusUnprocessableEntity:
		out.Code, out.Hint = fault.Usage, "the provider's own validation said no; names have letters, digits and hyphens only"
	case status == http.StatusPaymentRequired || status == http.StatusTooManyRequests:
		out.Hint = "the workspace is at its quota: delete CVMs that are left over, or raise it"
	}
	return out
}

// words finds the message in an error's body, whose detail is a text, an object
// with a code or a list of fields; else it is the body.
func words(body []byte) (said, code string) {
	var answer struct {
		Detail  json.RawMessage `json:"detail"`
		Message string          `json:"message"`
		Error   string          `json:"error"`
	}
	said = string(body)
	if json.Unmarshal(body, &answer) == nil {
		said = cmp.Or(answer.Message, answer.Error, said)
		if detail, its := detailed(answer.Detail); detail != "" {
			said, code = detail, its
		}
	}
	return strings.ToValidUTF8(said[:min(len(said), 400)], ""), code // it may end within a character
}

func detailed(detail json.RawMessage) (said, code string) {
	var object struct {
		Code        string   `json:"error_code"`
		Message     string   `json:"message"`
		Suggestions []string `json:"suggestions"`
	}
	var fields []struct {
		Location []any  `json:"loc"`
		Message  string `json:"msg"`
	}
	switch {
	case json.Unmarshal(detail, &said) == nil:
		return said, ""
	case json.Unmarshal(detail, &object) == nil && object.Message != "":
		all := append([]string{object.Message + " (" + object.Code + ")"}, object.Suggestions...)
		return strings.Join(all, "; "), object.Code
	case json.Unmarshal(detail, &fields) == nil:
		var all []string
		for _, f := range fields {
			all = append(all, fmt.Sprintf("%v: %s", f.Location, f.Message))
		}
		return strings.Join(all, "; "), ""
	}
	return string(detail), ""
}

// poll asks until done is true, done fails, or ctx ends. The first question comes
// at once, the next after 10 ms, and each pause is 1.6 times the one before: a local
// provider is ready in milliseconds, the real one in minutes, and neither is asked
// more often than it takes.
func (c *Client) poll(ctx context.Context, what string, done func() (bool, error)) error {
	p := retry.Policy{First: 10 * time.Millisecond, Factor: 1.6, Most: 10 * time.Second, Wait: c.Wait}
	return p.Until(ctx, what, done)
}

// retriable drops the errors that the next question may not meet: a connection
// that broke, answers of the 5xx kind, a 404 of what is not visible yet, 429,
// and 409 and 425 for things still in motion.
func retriable(err error) error {
	var r *Refusal
	if errors.As(err, &r) {
		switch r.Status {
		case http.StatusConflict, http.StatusTooEarly, http.StatusNotFound, http.StatusTooManyRequests:
			return nil
		}
		if r.Status >= http.StatusInternalServerError {
			return nil
		}
		return err
	}
	if retry.Lost(err) {
		return nil
	}
	return err
}

package dstack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/retry"
)

// Refusal is an answer of the provider that is not a success.
type Refusal struct {
	Status  int
	Message string        // the provider's own words, cut to 400 bytes
	after   time.Duration // Retry-After
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("the provider answered %d: %s", r.Status, r.Message)
}

func isStatus(err error, status int) bool {
	var r *Refusal
	return errors.As(err, &r) && r.Status == status
}

// refused turns the answers that a person can do something about into advice.
func refused(resp *http.Response, body []byte) error {
	out := &fault.Error{Code: fault.General, Message: fmt.Sprintf("%s %s", resp.Request.Method, resp.Request.URL.Path),
		Err: &Refusal{Status: resp.StatusCode, Message: words(body), after: retry.After(resp.Header)}}
	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		out.Code, out.Hint = fault.Usage,
			"check PHALA_CLOUD_API_KEY: the key must belong to the workspace at PHALA_DSTACK_URL"
	case http.StatusUnprocessableEntity:
		out.Code, out.Hint = fault.Usage, "the provider's own validation said no; names have letters, digits and hyphens only"
	case http.StatusPaymentRequired, http.StatusTooManyRequests:
		out.Hint = "the workspace is at its quota: delete CVMs that are left over, or raise it"
	}
	return out
}

// words finds the message in {"detail"}, {"message"} or {"error"}; else it is the body.
func words(body []byte) string {
	var answer map[string]any
	text := string(body)
	if json.Unmarshal(body, &answer) == nil {
		for _, key := range []string{"detail", "message", "error"} {
			if s, ok := answer[key].(string); ok && s != "" {
				text = s
				break
			}
		}
	}
	return text[:min(len(text), 400)]
}

// poll asks until done is true, done fails, or ctx ends. The first question comes
// at once, the next after 10 ms, and each pause is 1.6 times the one before: a local
// provider is ready in milliseconds, the real one in minutes, and neither is asked
// more often than it takes.
func (c *Client) poll(ctx context.Context, what string, done func() (bool, error)) error {
	p := retry.Policy{First: 10 * time.Millisecond, Factor: 1.6, Most: 10 * time.Second, Wait: c.Wait}
	return p.Until(ctx, what, done)
}

// retriable drops the errors that the next question may not meet: answers of
// the 5xx kind, and 409 and 425 for things still in motion.
func retriable(err error) error {
	var r *Refusal
	if errors.As(err, &r) && (r.Status >= 500 || r.Status == http.StatusConflict || r.Status == http.StatusTooEarly ||
		r.Status == http.StatusNotFound) {
		return nil
	}
	return err
}

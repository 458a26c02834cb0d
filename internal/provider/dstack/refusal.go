package dstack

import (
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
		out.Code, out.Hint = fault.Usage, "check PHALA_CLOUD_API_KEY: the key must belong to the workspace at PHALA_DSTACK_URL"
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

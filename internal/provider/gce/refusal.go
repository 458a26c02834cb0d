package gce

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode"

	"cloud.google.com/go/compute/apiv1/computepb"
	"golang.org/x/oauth2"
	"google.golang.org/api/googleapi"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/retry"
)

// ErrNotFound says that there is no such thing, or that these credentials do not see it.
var ErrNotFound = errors.New("not found on Compute Engine")

// Refusal is an answer of the API, or the end of an operation, that is not a success.
type Refusal struct {
	Status     int
	Reason     string // the API's own word: "quotaExceeded", "ZONE_RESOURCE_POOL_EXHAUSTED", …
	Message    string // the API's own sentence, cut to 400 characters
	Permission string // the missing permission, where the API names it

	after time.Duration // Retry-After
	token bool          // it is the token endpoint that said no: the API was not asked
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("Compute Engine answered %d %s: %s", r.Status, r.Reason, r.Message)
}

// Is makes a 404 an ErrNotFound.
func (r *Refusal) Is(target error) bool {
	return target == ErrNotFound && r.notFound()
}

// notFound wants the API's own reason: the 404 of a gateway on the way proves no absence.
func (r *Refusal) notFound() bool {
	return r.Status == http.StatusNotFound && r.Reason != "" && !r.token
}

// final says that the request was understood and declined: it has had no effect.
func (r *Refusal) final() bool {
	return r.token || r.Status < http.StatusInternalServerError && r.Status != http.StatusRequestTimeout
}

// refusal finds the API's answer in err; nil when there was none.
func refusal(err error) *Refusal {
	var known *Refusal
	var answer *googleapi.Error
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &answer):
		return answered(answer)
	}
	return tokenRefusal(err)
}

func answered(e *googleapi.Error) *Refusal {
	r := &Refusal{Status: e.Code, Message: words(e.Message, maxMessage), after: retry.After(e.Header)}
	if len(e.Errors) > 0 {
		r.Reason = words(e.Errors[0].Reason, maxMessage)
	}
	for _, detail := range e.Details {
		r.refine(detail)
	}
	if found := required.FindStringSubmatch(r.Message); r.Permission == "" && found != nil {
		r.Permission = found[1]
	}
	return r
}

// refine takes over what a google.rpc.ErrorInfo says. apierror would do this, but
// refuses a body that holds the older list of errors as well, as Compute Engine's do.
func (r *Refusal) refine(detail any) {
	info, _ := detail.(map[string]any)
	kind, _ := info["@type"].(string)
	reason, _ := info["reason"].(string)
	if !strings.HasSuffix(kind, "google.rpc.ErrorInfo") || reason == "" {
		return
	}
	r.Reason = words(reason, maxMessage)
	metadata, _ := info["metadata"].(map[string]any)
	permission, _ := metadata["permission"].(string)
	r.Permission = words(permission, maxMessage)
}

// required is the sentence of the older answers, which have no details.
var required = regexp.MustCompile(`Required '([a-zA-Z.]+)' permission`)

// ended is the refusal at the end of an operation; nil when it succeeded.
func ended(op *computepb.Operation) error {
	status := int(op.GetHttpErrorStatusCode())
	errs := op.GetError().GetErrors()
	if len(errs) == 0 && status < http.StatusBadRequest {
		return nil
	}
	r := &Refusal{Status: status, Reason: words(op.GetHttpErrorMessage(), maxMessage)}
	if len(errs) > 0 {
		r.Reason, r.Message = words(errs[0].GetCode(), maxMessage), words(errs[0].GetMessage(), maxMessage)
	}
	return r
}

const maxMessage = 400 // characters of the API's own words

// words makes a text from outside fit for a terminal: one line, no control characters.
func words(s string, limit int) string {
	clean := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(s, "?"))
	runes := []rune(strings.TrimSpace(clean))
	return string(runes[:min(len(runes), limit)])
}

// explain turns an error of the API into one for people; doing names the attempt.
func explain(doing string, err error) error {
	if err == nil {
		return nil
	}
	out := &fault.Error{Code: fault.General, Message: "gce: " + doing, Err: err}
	r := refusal(err)
	if r == nil {
		return out
	}
	out.Hint = r.hint()
	if r.denied() {
		out.Code = fault.Usage
	}
	return out
}

// denied says that another account, or more roles, would help.
func (r *Refusal) denied() bool {
	return r.Reason == badGrant || r.Status == http.StatusUnauthorized ||
		r.Status == http.StatusForbidden && !r.rateLimited() && !r.overQuota()
}

func (r *Refusal) rateLimited() bool {
	switch r.Reason {
	case "rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED":
		return true
	}
	return false
}

func (r *Refusal) overQuota() bool {
	return r.Reason == "quotaExceeded" || r.Reason == "QUOTA_EXCEEDED"
}

// Advice is the hint for what the API said to somebody else, such as Packer; "" when there is none.
func Advice(said string) string {
	r := &Refusal{}
	switch permission := required.FindStringSubmatch(said); {
	case strings.Contains(said, "does not have enough resources available"):
		r.Reason = "ZONE_RESOURCE_POOL_EXHAUSTED"
	case overQuota.MatchString(said):
		r.Reason = "QUOTA_EXCEEDED"
	case permission != nil:
		r.Permission = permission[1]
	}
	return r.hint()
}

var overQuota = regexp.MustCompile(`Quota '[A-Z0-9_]+' exceeded`)

func (r *Refusal) hint() string {
	switch {
	case r.overQuota():
		return "the project is at its quota: `mage sweep` finds what is left over; else ask for more under IAM & Admin > " +
			"Quotas"
	case strings.HasPrefix(r.Reason, "ZONE_RESOURCE_POOL_EXHAUSTED"):
		return "the zone has no free TDX machines now: try again later, or set GCP_ZONE to another zone with TDX"
	case r.rateLimited() || r.Status == http.StatusTooManyRequests:
		return "too many requests in this project; the quota is refilled every minute"
	case r.Reason == "accessNotConfigured" || r.Reason == "SERVICE_DISABLED":
		return "enable the API in the project: `gcloud services enable compute.googleapis.com " +
			"cloudresourcemanager.googleapis.com`"
	case r.Permission != "":
		return "grant " + r.Permission + " to the service account: docs/releasing.md has the role"
	case r.denied():
		return "check GCP_SERVICE_ACCOUNT_KEY: the key may be deleted or disabled, belong to another project, or this " +
			"machine's clock be wrong"
	}
	return ""
}

// badGrant is what the token endpoint says to a key that it does not take.
const badGrant = "invalid_grant"

// tokenRefusal is the token endpoint's answer to our key; nil when err is none.
func tokenRefusal(err error) *Refusal {
	var e *oauth2.RetrieveError
	if !errors.As(err, &e) || e.Response == nil {
		return nil
	}
	var said struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	_ = json.Unmarshal(e.Body, &said) // the status says enough
	return &Refusal{Status: e.Response.StatusCode, Reason: words(said.Error, maxMessage),
		Message: words(said.Description, maxMessage), after: retry.After(e.Response.Header), token: true}
}

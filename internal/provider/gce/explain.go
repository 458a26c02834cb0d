package gce

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"golang.org/x/oauth2"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/retry"
)

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

func (r *Refusal) hint() string {
	switch {
	case r.overQuota():
		return "the project is at its quota: `mage sweep` finds what is left over; else ask for more under IAM & Admin > Quotas"
	case strings.HasPrefix(r.Reason, "ZONE_RESOURCE_POOL_EXHAUSTED"):
		return "the zone has no free TDX machines now: try again later, or set GCP_ZONE to another zone with TDX"
	case r.rateLimited() || r.Status == http.StatusTooManyRequests:
		return "too many requests in this project; the quota is refilled every minute"
	case r.Reason == "accessNotConfigured" || r.Reason == "SERVICE_DISABLED":
		return "enable the API in the project: `gcloud services enable compute.googleapis.com cloudresourcemanager.googleapis.com`"
	case r.Permission != "":
		return "grant " + r.Permission + " to the service account, for example with the role Compute Instance Admin (v1)"
	case r.denied():
		return "check GCP_SERVICE_ACCOUNT_KEY: the key may be deleted or disabled, belong to another project, or this machine's clock be wrong"
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

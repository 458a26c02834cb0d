package gce

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/api/googleapi"

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

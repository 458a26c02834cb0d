package kms

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/calimero-network/mero-tee/internal/kms/wire"
)

// refusal is an answer other than 200. Details go to the caller, the cause only to the log.
type refusal struct {
	status     int
	tag        string
	details    string
	cause      error
	about      []any // of the log's line: whose request it was
	retryAfter time.Duration
}

func (e *refusal) Error() string { return e.tag + ": " + e.details }
func (e *refusal) Unwrap() error { return e.cause }

func refuse(status int, tag, format string, args ...any) *refusal {
	return &refusal{status: status, tag: tag, details: fmt.Sprintf(format, args...)}
}

func (e *refusal) because(err error) *refusal { e.cause = err; return e }

// endpoint is one of the service's; no method means any.
type endpoint struct {
	path, method string
	answer       func(*http.Request) (any, error)
}

// endpoint turns an answer or an error into HTTP, and counts it.
func (s *Service) endpoint(e endpoint) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		body, err := e.handle(w, r)
		atWork(r, false) // writing the answer takes as long as who asked takes to read it
		if err == nil {
			s.metrics.answered(e.path, http.StatusOK, "", time.Since(began))
			s.write(w, http.StatusOK, body)
			return
		}
		no := refusalOf(err)
		s.metrics.answered(e.path, no.status, no.tag, time.Since(began))
		s.refuse(w, r, no)
	}
}

func (e endpoint) handle(w http.ResponseWriter, r *http.Request) (any, error) {
	if !e.takes(r.Method) {
		w.Header().Set("Allow", e.allow())
		return nil, refuse(http.StatusMethodNotAllowed, wire.MethodNotAllowed, "%s takes %s", e.path, e.allow())
	}
	// A page of a stranger can make a browser post text and forms to any address, but JSON only to who lets it.
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if e.method == http.MethodPost && (err != nil || kind != "application/json") {
		return nil, refuse(http.StatusUnsupportedMediaType, wire.UnsupportedMediaType, "%s takes application/json", e.path)
	}
	r.Body = http.MaxBytesReader(w, r.Body, wire.MaxBody)
	return e.answer(r)
}

// takes says whether a method may be used; who answers GET answers HEAD (RFC 9110, section 9.3.2).
func (e endpoint) takes(method string) bool {
	return e.method == "" || method == e.method || (e.method == http.MethodGet && method == http.MethodHead)
}

func (e endpoint) allow() string {
	if e.method == http.MethodGet {
		return "GET, HEAD"
	}
	return e.method
}

func refusalOf(err error) *refusal {
	var no *refusal
	if !errors.As(err, &no) {
		no = refuse(http.StatusInternalServerError, wire.InternalError, "see the service's log").because(err)
	}
	return no
}

func (s *Service) refuse(w http.ResponseWriter, r *http.Request, no *refusal) {
	if no.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((no.retryAfter+time.Second-1)/time.Second)))
	}
	s.log.With(no.about...).Warn("request refused", "path", r.URL.Path, "status", no.status, "error", no.tag, "details",
		no.details, "cause", causeText(no))
	s.write(w, no.status, wire.Error{Error: no.tag, Details: no.details})
}

func causeText(no *refusal) string {
	if no.cause == nil {
		return ""
	}
	return no.cause.Error()
}

func (s *Service) write(w http.ResponseWriter, status int, body any) {
	data, err := json.Marshal(body)
	if err != nil { // only an event log could be at fault, and the guest client has checked it
		status, data = http.StatusInternalServerError, []byte(`{"error":"`+wire.InternalError+`"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)+1)) // said to HEAD, too
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n'))
}

// decode reads a request's body strictly: one JSON object of known fields, each once.
func decode[T any](r *http.Request, tag string) (T, error) {
	var v T
	data, err := io.ReadAll(r.Body)
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return v, refuse(http.StatusRequestEntityTooLarge, wire.InvalidRequest, "the body is larger than %d bytes",
			tooLarge.Limit)
	}
	if err != nil {
		return v, refuse(http.StatusBadRequest, tag, "the body ended early")
	}
	atWork(r, true)
	if err := wire.Decode(data, &v); err != nil {
		return v, refuse(http.StatusBadRequest, tag, "%v", err)
	}
	return v, nil
}

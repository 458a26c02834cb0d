package gce

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

const maxRequest = 4 << 20 // bytes of a JSON request

// request is one API call.
type request struct {
	*http.Request
	call call
	body []byte
}

// refusal is an error of the API, in the form of its answers.
type refusal struct {
	status          int
	reason, message string
	retryAfter      time.Duration
}

func (r *refusal) Error() string { return r.message }

func refuse(status int, reason, format string, args ...any) error {
	return &refusal{status: status, reason: reason, message: fmt.Sprintf(format, args...)}
}

func invalid(field, value, format string, args ...any) error {
	return refuse(http.StatusBadRequest, "invalid", "Invalid value for field '%s': '%s'. %s", field, value, fmt.Sprintf(format, args...))
}

func notFound(path string) error {
	return refuse(http.StatusNotFound, "notFound", "The resource '%s' was not found", path)
}

func exists(path string) error {
	return refuse(http.StatusConflict, "alreadyExists", "The resource '%s' already exists", path)
}

func notReady(path string) error {
	return refuse(http.StatusBadRequest, "resourceNotReady", "The resource '%s' is not ready", path)
}

func inUse(kind, path, by string) error {
	return refuse(http.StatusBadRequest, "resourceInUseByAnotherResource", "The %s resource '%s' is already being used by '%s'", kind, path, by)
}

// read takes a body in, before anything is locked: it comes as slowly as its sender likes.
func read(body io.Reader, limit int) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(body, int64(limit)+1))
	if err == nil && len(data) > limit {
		err = refuse(http.StatusRequestEntityTooLarge, "uploadTooLarge", "The request is larger than %d bytes.", limit)
	}
	return data, err
}

// decode reads the request's JSON and refuses, as the API does, a name that it
// does not know.
func (q request) decode(into any) error {
	dec := json.NewDecoder(bytes.NewReader(q.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return refuse(http.StatusBadRequest, "badRequest", "Invalid JSON payload received. %v", err)
	}
	return nil
}

// render is the answer's body; it runs with mu held, for body may be a part of the state.
func render(body any, err error) (int, []byte) {
	if err == nil {
		data, failed := json.Marshal(body)
		if failed == nil {
			return http.StatusOK, data
		}
		err = failed
	}
	var r *refusal
	if !errors.As(err, &r) {
		r = &refusal{status: http.StatusInternalServerError, reason: "backendError", message: err.Error()}
	}
	data, _ := json.Marshal(map[string]any{"error": map[string]any{"code": r.status, "message": r.message,
		"errors": []any{map[string]any{"message": r.message, "domain": "global", "reason": r.reason}}}}) // plain values always marshal
	return r.status, data
}

func write(w http.ResponseWriter, status int, body []byte, err error) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	var r *refusal
	if errors.As(err, &r) && r.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(r.retryAfter.Seconds())))
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that went away needs no answer
}

package retry

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Busy says that a server which answered so may answer the same request otherwise later.
func Busy(status int) bool {
	return status == http.StatusTooManyRequests || status == http.StatusRequestTimeout ||
		status >= http.StatusInternalServerError
}

// After is the pause that Retry-After asks for, in both forms of RFC 9110; a
// date counts from the answer's own, so that this machine's clock does not matter.
func After(h http.Header) time.Duration {
	value := h.Get("Retry-After")
	seconds, err := strconv.Atoi(value)
	if (err == nil || errors.Is(err, strconv.ErrRange)) && seconds > 0 { // out of range it is the largest that there is
		return time.Duration(min(seconds, 1<<20)) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return max(0, at.Sub(now))
}

// Answer is an answer that is not a success, for clients whose server has no errors of its own.
type Answer struct {
	Code   int
	Status string        // "503 Service Unavailable"
	After  time.Duration // Retry-After
}

func (a *Answer) Error() string { return "answered " + a.Status }

// Refused is the Answer of a response that is not 200, nil of one that is.
func Refused(r *http.Response) error {
	if r.StatusCode == http.StatusOK {
		return nil
	}
	return &Answer{Code: r.StatusCode, Status: r.Status, After: After(r.Header)}
}

var passing = &Class{}

// HTTP judges for those clients: another attempt is worth it when the server
// is busy, and when the answer was lost.
func HTTP(err error) (*Class, time.Duration) {
	var answer *Answer
	switch {
	case errors.As(err, &answer):
		if Busy(answer.Code) {
			return passing, answer.After
		}
	case Lost(err):
		return passing, 0
	}
	return nil, 0
}

// Lost says that an answer did not come, or broke off: net/http has an error of
// its own for a request that failed, and the connection's for a body.
func Lost(err error) bool {
	var request *url.Error
	if errors.As(err, &request) {
		return request.Op != "parse"
	}
	var connection *net.OpError
	var stream streamError
	var late net.Error
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &connection) || errors.As(err, &stream) ||
		errors.As(err, &late) && late.Timeout()
}

// streamError is net/http's of a stream of HTTP/2: its type has no name outside,
// but gives itself to one with its fields.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (e streamError) Error() string { return "stream error" }

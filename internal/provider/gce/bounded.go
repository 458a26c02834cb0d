package gce

import (
	"errors"
	"io"
	"net/http"
)

// maxAnswer bounds one answer. The largest are a serial console (1 MiB) and a
// page of 500 instances, each with its metadata.
const maxAnswer = 16 << 20

var errTooLarge = errors.New("the answer is larger than 16 MiB")

// bounded cuts answers off, because the library reads them whole into memory.
type bounded struct{ next http.RoundTripper }

// RoundTrip sends the request unchanged.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(r)
	if err == nil {
		resp.Body = &limited{resp.Body, maxAnswer}
	}
	return resp, err
}

type limited struct {
	io.ReadCloser
	left int
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.ReadCloser.Read(p)
	if l.left -= n; l.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}

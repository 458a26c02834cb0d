package image_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
)

// flip changes one bit in the middle of each answer whose path contains path.
type flip struct{ path string }

func (f flip) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil || req.Method != http.MethodGet || !strings.Contains(req.URL.Path, f.path) ||
		res.StatusCode != http.StatusOK {
		return res, err
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	body[len(body)/2] ^= 1
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, nil
}

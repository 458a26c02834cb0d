package sigstore

import (
	"fmt"
	"net/http"
	"net/http/httputil"
)

// The names at sigstore.dev under which an instance is reached. That of Rekor v2
// has an answer when it was asked for.
const (
	FulcioHost    = "fulcio.sigstore.dev"
	RekorHost     = "rekor.sigstore.dev"
	RekorV2Host   = "log2025-1.rekor.sigstore.dev"
	TimestampHost = "timestamp.sigstore.dev"
)

// Handler answers for one of the names.
func (i *Instance) Handler(host string) (http.Handler, error) {
	target, ok := i.services[host]
	if !ok {
		return nil, fmt.Errorf("this sigstore has no %s", host)
	}
	return &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: i.front,
	}, nil
}

// newFront is a transport of its own, so that nothing of it is left after Close.
func newFront() *http.Transport { return &http.Transport{MaxIdleConnsPerHost: parallel} }

const parallel = 64 // signatures that a release makes at a time

package chroot

import (
	"errors"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"

	"github.com/calimero-network/mero-tee/internal/rehearsal/network"
)

// serveMetadata puts the metadata server at metadata.google.internal, port 80,
// for programs that do not know GCE_METADATA_HOST. Without root there is no
// port 80 on most machines: that is said, and no more.
func (m *Machine) serveMetadata() {
	if m.spec.Metadata == "" || m.spec.Address == "" {
		return
	}
	l, err := net.Listen("tcp4", net.JoinHostPort(m.spec.Address, "80"))
	if err != nil {
		m.say("metadata.google.internal does not answer: %v", err)
		return
	}
	to := &url.URL{Scheme: "http", Host: m.spec.Metadata}
	transport := &http.Transport{} // no proxy of this machine's environment
	proxy := &httputil.ReverseProxy{FlushInterval: -1, Transport: transport, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	s := &http.Server{ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { network.Forward(proxy, w, r) })}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	m.afterwards(func() error {
		err := s.Close()
		if end := <-served; !errors.Is(end, http.ErrServerClosed) {
			err = errors.Join(err, end)
		}
		transport.CloseIdleConnections()
		return err
	})
}

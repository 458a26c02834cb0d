package network

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// transport is an http.Transport that decides at dialling, so that requests,
// redirects and cookies keep the production URL from end to end.
type transport struct {
	http    *http.Transport
	resolve func(host string) (address string, ok bool)
	dialer  net.Dialer
}

func newTransport(resolve func(string) (string, bool)) *transport {
	t := &transport{resolve: resolve}
	t.http = &http.Transport{
		DialContext:           t.dial,
		DialTLSContext:        t.dialTLS,
		MaxIdleConnsPerHost:   16,
		IdleConnTimeout:       time.Minute,
		ExpectContinueTimeout: time.Second,
	}
	return t
}

func (t *transport) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if local, ok := t.resolve(host); ok {
		return t.dialer.DialContext(ctx, network, local)
	}
	if loopback(host) {
		return t.dialer.DialContext(ctx, network, address)
	}
	return nil, fmt.Errorf("%w: %s", ErrOutside, host)
}

// dialTLS gives net/http a connection that it takes as past the TLS handshake.
// Inside this process there is nothing to protect; a real loopback TLS server
// is still spoken to in TLS.
func (t *transport) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if _, known := t.resolve(host); !known && loopback(host) {
		return (&tls.Dialer{NetDialer: &t.dialer}).DialContext(ctx, network, address)
	}
	return t.dial(ctx, network, address)
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

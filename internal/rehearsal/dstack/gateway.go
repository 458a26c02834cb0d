package dstack

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/calimero-network/mero-tee/internal/rehearsal/network"
)

// agentPort is where the guest agent publishes logs of an application that allows it.
const agentPort = "8090"

// Gateway serves the applications at "{app id}-{port}.{Domain}".
func (p *Provider) Gateway() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, port := p.addressed(r.Host)
		if c == nil {
			http.Error(w, "no such app", http.StatusNotFound)
			return
		}
		app := c.current()
		switch {
		case port == agentPort && app.publicLogs:
			c.serveLogs(w, r)
		case port != app.port:
			http.Error(w, "no such port", http.StatusNotFound)
		default:
			p.forward(w, r, c)
		}
	})
}

// addressed finds the CVM and the port that a host name means.
func (p *Provider) addressed(host string) (*cvm, string) {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	label, ok := strings.CutSuffix(strings.ToLower(host), "."+Domain)
	id, port, hasPort := strings.Cut(label, "-")
	if !ok || !hasPort {
		return nil, ""
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cvms[id], port
}

func (p *Provider) forward(w http.ResponseWriter, r *http.Request, c *cvm) {
	c.mu.Lock()
	address := c.address
	c.mu.Unlock()
	if address == "" || c.stillCold() {
		http.Error(w, "the app does not answer yet", http.StatusBadGateway)
		return
	}
	proxy := &httputil.ReverseProxy{
		Transport: p.applications,
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.SetURL(&url.URL{Scheme: "http", Host: address})
			pr.Out.Host = pr.In.Host
			pr.SetXForwarded()
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, err.Error(), http.StatusBadGateway)
		},
	}
	network.Forward(proxy, w, r)
}

// serveLogs is the guest agent's GET /logs/{container}?text&bare&tail=N.
func (c *cvm) serveLogs(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/logs/dstack-"+c.current().service.Name+"-1" {
		http.Error(w, "no such container", http.StatusNotFound)
		return
	}
	data, err := os.ReadFile(c.logPath)
	if err != nil {
		http.Error(w, "no log yet", http.StatusNotFound)
		return
	}
	lines := bytes.SplitAfter(data, []byte("\n"))
	if n, err := strconv.Atoi(r.URL.Query().Get("tail")); err == nil && n >= 0 && n < len(lines) {
		lines = lines[len(lines)-n-1:]
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write(bytes.Join(lines, nil))
}

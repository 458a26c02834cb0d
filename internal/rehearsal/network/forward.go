package network

import (
	"net/http"
	"net/http/httputil"
)

// Forward is p.ServeHTTP for requests with a body. Without full duplex net/http
// closes the request's body as soon as the answer begins; if the proxy has not
// yet seen that body's end, it then takes its request for broken and cuts the
// answer off: 2 of 36,000 requests to /attest ended so (2026-11-25).
func Forward(p *httputil.ReverseProxy, w http.ResponseWriter, r *http.Request) {
	_ = http.NewResponseController(w).EnableFullDuplex() // HTTP/2 always is
	p.ServeHTTP(w, r)
}

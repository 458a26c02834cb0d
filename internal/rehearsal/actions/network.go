package actions

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"time"
)

// way is one job's way out: a proxy of its own before the network, which knows
// whom the job asked for.
type way struct {
	url    string
	behind *url.URL
	refuse func(host string) bool
	server *http.Server
	served chan error
	plain  *httputil.ReverseProxy

	mu    sync.Mutex
	asked map[string]bool
	conns sync.WaitGroup
}

func openWay(behind string, refuse func(host string) bool) (*way, error) {
	to, err := url.Parse(behind)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &way{url: "http://" + l.Addr().String(), behind: to, refuse: refuse, asked: map[string]bool{},
		served: make(chan error, 1)}
	w.plain = &httputil.ReverseProxy{Rewrite: func(*httputil.ProxyRequest) {},
		Transport: &http.Transport{Proxy: http.ProxyURL(to)}}
	w.server = &http.Server{Handler: w, ReadHeaderTimeout: 10 * time.Second}
	go func() { w.served <- w.server.Serve(l) }()
	return w, nil
}

func (w *way) hosts() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Keys(w.asked))
}

// Close ends every connection.
func (w *way) Close() error {
	err := w.server.Close()
	if served := <-w.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	w.conns.Wait()
	return err
}

func (w *way) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	w.asked[r.URL.Hostname()] = true
	w.mu.Unlock()
	if w.refuse(r.URL.Hostname()) {
		http.Error(rw, "no route to host", http.StatusBadGateway)
		return
	}
	if r.Method != http.MethodConnect {
		w.plain.ServeHTTP(rw, r)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	on, err := (&net.Dialer{}).DialContext(ctx, "tcp", w.behind.Host)
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadGateway)
		return
	}
	conn, buffered, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		_ = on.Close()
		return
	}
	w.conns.Go(func() { join(conn, buffered, on, r.Host) })
}

// join passes the request and then everything on, until one side ends.
func join(conn net.Conn, from io.Reader, on net.Conn, host string) {
	defer conn.Close()
	defer on.Close()
	if _, err := io.WriteString(on, "CONNECT "+host+" HTTP/1.1\r\nHost: "+host+"\r\n\r\n"); err != nil {
		return
	}
	done := make(chan struct{}, 2)
	pass := func(to io.Writer, from io.Reader) {
		_, _ = io.Copy(to, from) // it ends when either side does
		done <- struct{}{}
	}
	go pass(on, from)
	go pass(conn, on)
	<-done
}

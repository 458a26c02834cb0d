package network

import (
	"net"
	"sync"
)

// tunnels is the net.Listener of the connections whose TLS the proxy ended.
type tunnels struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newTunnels() *tunnels {
	return &tunnels{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (t *tunnels) offer(c net.Conn) bool {
	select {
	case t.conns <- c:
		return true
	case <-t.done:
		return false
	}
}

// Accept waits for the next tunnel.
func (t *tunnels) Accept() (net.Conn, error) {
	select {
	case c := <-t.conns:
		return c, nil
	case <-t.done:
		return nil, net.ErrClosed
	}
}

// Close makes Accept and offer give up.
func (t *tunnels) Close() error {
	t.once.Do(func() { close(t.done) })
	return nil
}

// Addr is a name for logs; nothing dials it.
func (t *tunnels) Addr() net.Addr { return &net.UnixAddr{Name: "rehearsal tunnels", Net: "unix"} }

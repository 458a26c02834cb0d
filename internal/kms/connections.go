package kms

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"sync"
)

// connections is a listener with at most so many connections open. When they are, the one gives way that has been
// silent for longest: it has sent no whole request yet, does not read its answer, or rests between two. So strangers
// who open connections and say nothing, or little, or do not listen, keep nobody out; a limit for each source would not
// do, since behind a gateway all have one.
type connections struct {
	net.Listener
	most int

	mu     sync.Mutex
	change sync.Cond // of what follows
	open   int
	silent *list.List // of *connection, the longest silent first
	closed bool
}

func newConnections(l net.Listener, most int) *connections {
	c := &connections{Listener: l, most: most, silent: list.New()}
	c.change.L = &c.mu
	return c
}

// Accept waits while all connections are at work.
func (c *connections) Accept() (net.Conn, error) {
	accepted, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.open >= c.most && !c.closed {
		if oldest := c.silent.Front(); oldest != nil {
			c.end(oldest.Value.(*connection))
		} else {
			c.change.Wait()
		}
	}
	if c.closed {
		_ = accepted.Close()
		return nil, net.ErrClosed
	}
	c.open++
	out := &connection{Conn: accepted, of: c}
	out.at = c.silent.PushBack(out)
	return out, nil
}

// Close ends the listener, and who waits for a place.
func (c *connections) Close() error {
	c.mu.Lock()
	c.closed = true
	c.change.Broadcast()
	c.mu.Unlock()
	return c.Listener.Close()
}

// end gives a connection's place away, once.
func (c *connections) end(one *connection) {
	if one.ended {
		return
	}
	one.ended = true
	c.open--
	c.hush(one, false)
	_ = one.Conn.Close() // its reader learns of it
	c.change.Broadcast()
}

// hush notes whether a connection is silent from now on.
func (c *connections) hush(one *connection, silent bool) {
	if one.at != nil {
		c.silent.Remove(one.at)
		one.at = nil
	}
	if silent && !one.ended {
		one.at = c.silent.PushBack(one)
		c.change.Broadcast()
	}
}

type connection struct {
	net.Conn
	of    *connections
	at    *list.Element // among the silent; nil: at work
	ended bool
}

// Close is the server's.
func (c *connection) Close() error {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.of.end(c)
	return nil
}

func (c *connection) is(silent bool) {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.of.hush(c, silent)
}

type connectionKey struct{}

// watched lets a server say which connections are silent.
func watched(s *http.Server) *http.Server {
	s.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connectionKey{}, c)
	}
	s.ConnState = func(c net.Conn, state http.ConnState) {
		if own, ok := c.(*connection); ok && state == http.StateIdle {
			own.is(true)
		}
	}
	return s
}

// atWork notes whether a request, which was read whole, is being worked on: until its answer is written, and no longer.
func atWork(r *http.Request, yes bool) {
	if own, ok := r.Context().Value(connectionKey{}).(*connection); ok {
		own.is(!yes)
	}
}

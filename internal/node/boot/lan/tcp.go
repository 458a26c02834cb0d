package lan

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Flags of a TCP segment (RFC 9293).
const (
	fin = 1 << iota
	syn
	rst
	psh
	ack
)

// What bounds a connection. The wire is in order and loses nothing, so that a
// repetition is for a guest that dropped something itself.
const (
	mss    = mtu - 40
	buffer = 1 << 20 // bytes that the guest has sent and nobody has read
	again  = 3 * time.Second
)

// flow names a connection: the guest's end and ours.
type flow struct{ guest, ours netip.AddrPort }

// segment is what is understood of a TCP segment of the guest's.
type segment struct {
	flow
	seq, ack uint32
	flags    byte
	window   uint32
	data     []byte
}

func parseSegment(p packet) (segment, bool) {
	b := p.payload
	if len(b) < 20 {
		return segment{}, false
	}
	head := int(b[12]>>4) * 4
	if head < 20 || head > len(b) {
		return segment{}, false
	}
	return segment{
		flow: flow{netip.AddrPortFrom(p.src, binary.BigEndian.Uint16(b)),
			netip.AddrPortFrom(p.dst, binary.BigEndian.Uint16(b[2:]))},
		seq: binary.BigEndian.Uint32(b[4:]), ack: binary.BigEndian.Uint32(b[8:]), flags: b[13],
		window: uint32(binary.BigEndian.Uint16(b[14:])), data: b[head:]}, true
}

// send sends a segment to the guest. The caller holds the network's lock.
func (n *Network) send(f flow, seq, acked uint32, flags byte, data []byte) {
	b := binary.BigEndian.AppendUint16(nil, f.ours.Port())
	b = binary.BigEndian.AppendUint16(b, f.guest.Port())
	b = binary.BigEndian.AppendUint32(b, seq)
	b = binary.BigEndian.AppendUint32(b, acked)
	b = append(b, 5<<4, flags, 0xff, 0xff, 0, 0, 0, 0)
	if flags&syn != 0 {
		b[12] = 6 << 4
		b = append(b, 2, 4, mss>>8, mss&255)
	}
	n.ip(protoTCP, f.ours.Addr(), f.guest.Addr(), append(b, data...))
}

// segment takes one of the guest's to its connection, to a listener or to the scan.
func (n *Network) segment(s segment) {
	if n.scan != nil && s.ours.Addr() == gatewayIP && n.scan.source(s.ours.Port()) {
		n.scanned(s)
		return
	}
	c := n.conns[s.flow]
	if c == nil && s.flags&(syn|ack|rst) == syn {
		c = n.accept(s)
	}
	switch {
	case c != nil:
		c.take(s)
	case s.flags&rst == 0:
		next := s.seq + uint32(len(s.data)) //nolint:gosec // at most a frame
		if s.flags&(syn|fin) != 0 {
			next++
		}
		n.send(s.flow, s.ack, next, rst|ack, nil)
	}
}

// accept answers a connection to the metadata server that somebody listens for; others are noted.
func (n *Network) accept(s segment) *conn {
	n.note("connection to " + s.ours.String())
	l := n.listeners[s.ours.Port()]
	if l == nil || s.ours.Addr() != metadataIP {
		return nil
	}
	c, far := n.connect(s.flow)
	c.received = s.seq + 1
	select {
	case l.ready <- far:
	default: // nobody takes them
		c.end()
		return nil
	}
	n.conns[s.flow] = c
	n.send(s.flow, c.base-1, c.received, syn|ack, nil)
	return c
}

// Dial connects to a port of the guest's.
func (n *Network) Dial(ctx context.Context, port uint16) (net.Conn, error) {
	n.mu.Lock()
	n.nextPort++
	f := flow{netip.AddrPortFrom(guestIP, port), netip.AddrPortFrom(gatewayIP, n.nextPort)}
	c, far := n.connect(f)
	c.opening = true
	n.conns[f] = c
	n.mu.Unlock()
	t := time.NewTicker(again)
	defer t.Stop()
	for {
		n.mu.Lock()
		if c.opening {
			n.send(f, c.base-1, 0, syn, nil)
		}
		n.mu.Unlock()
		select {
		case <-c.open:
			return far, nil
		case <-c.done:
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
		case <-t.C:
		case <-ctx.Done():
			n.mu.Lock()
			defer n.mu.Unlock()
			c.end()
			delete(n.conns, f)
			return nil, ctx.Err()
		}
	}
}

// conn is our end of a connection. What is between it and its user is a pipe,
// which has the deadlines that users of connections want.
type conn struct {
	n        *Network
	flow     flow
	near     net.Conn
	received uint32 // next number of the guest's that is expected
	in       []byte // from the guest, not read yet
	inEnded  bool
	base     uint32 // number of the first byte of out
	out      []byte // to the guest, not acknowledged
	outEnded bool   // a FIN is sent behind out
	window   uint32
	opening  bool
	open     chan struct{}
	moved    chan struct{} // something came in, or out moved
	room     chan struct{}
	done     chan struct{}
	once     sync.Once
}

// connect makes a connection's state; far is for its user.
func (n *Network) connect(f flow) (c *conn, far net.Conn) {
	near, far := net.Pipe()
	c = &conn{n: n, flow: f, near: near, base: 1001, window: mss, open: make(chan struct{}),
		moved: make(chan struct{}, 1), room: make(chan struct{}, 1), done: make(chan struct{})}
	go c.deliver()
	go c.collect()
	return c, far
}

// end forgets the connection at once. The caller holds the network's lock.
func (c *conn) end() {
	c.once.Do(func() { close(c.done) })
	_ = c.near.Close() // a pipe's end, which cannot fail
}

func wake(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// take handles a segment. The caller holds the network's lock.
func (c *conn) take(s segment) {
	if s.flags&rst != 0 {
		c.end()
		delete(c.n.conns, c.flow)
		return
	}
	if s.flags&syn != 0 {
		c.synchronize(s)
		return
	}
	if s.flags&ack != 0 {
		c.acknowledged(s)
	}
	if len(s.data) > 0 || s.flags&fin != 0 {
		c.arrived(s)
	}
	if c.inEnded && c.outEnded && len(c.out) == 0 {
		delete(c.n.conns, c.flow)
	}
}

// synchronize answers a SYN again, or ends a Dial.
func (c *conn) synchronize(s segment) {
	if !c.opening {
		c.n.send(c.flow, c.base-1, c.received, syn|ack, nil)
		return
	}
	if s.flags&ack == 0 {
		return
	}
	c.received, c.window = s.seq+1, s.window
	c.opening = false
	c.n.send(c.flow, c.base, c.received, ack, nil)
	close(c.open)
}

func (c *conn) acknowledged(s segment) {
	c.window = s.window
	moved := s.ack - c.base
	if moved > 0 && int64(moved) <= int64(len(c.out)) {
		c.out, c.base = c.out[moved:], s.ack
	}
	wake(c.room)
}

// arrived keeps data that is next in order, and acknowledges what was kept.
func (c *conn) arrived(s segment) {
	if s.seq == c.received && !c.inEnded && len(c.in)+len(s.data) <= buffer {
		c.in = append(c.in, s.data...)
		c.received += uint32(len(s.data)) //nolint:gosec // at most a frame
		if s.flags&fin != 0 {
			c.received++
			c.inEnded = true
		}
		wake(c.moved)
	}
	c.n.send(c.flow, c.base+uint32(len(c.out)), c.received, ack, nil) //nolint:gosec // bounded by the window
}

// deliver hands what came in to the connection's user.
func (c *conn) deliver() {
	for {
		c.n.mu.Lock()
		data, ended := c.in, c.inEnded
		c.in = nil
		c.n.mu.Unlock()
		if len(data) > 0 {
			if _, err := c.near.Write(data); err != nil {
				return
			}
			continue
		}
		if ended {
			_ = c.near.Close() // a pipe's end, which cannot fail
			return
		}
		select {
		case <-c.moved:
		case <-c.done:
			return
		}
	}
}

// collect sends what the connection's user writes.
func (c *conn) collect() {
	b := make([]byte, mss)
	for {
		size, err := c.near.Read(b)
		if size > 0 && !c.write(b[:size], psh|ack) {
			return
		}
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) {
				c.write([]byte{0}, fin|ack) // a FIN takes one number, as this byte does in out
			}
			return
		}
	}
}

// write sends one segment and waits until the guest has it.
func (c *conn) write(data []byte, flags byte) bool {
	c.n.mu.Lock()
	c.out = slices.Clone(data)
	c.outEnded = flags&fin != 0
	target := c.base + uint32(len(data)) //nolint:gosec // at most a segment
	for c.base != target {
		select {
		case <-c.done:
			c.n.mu.Unlock()
			return false
		default:
		}
		payload := c.out
		if flags&fin != 0 {
			payload = nil
		}
		c.n.send(c.flow, c.base, c.received, flags, payload)
		c.n.mu.Unlock()
		c.wait()
		c.n.mu.Lock()
	}
	ended := c.inEnded && c.outEnded
	if ended {
		delete(c.n.conns, c.flow)
	}
	c.n.mu.Unlock()
	return true
}

// wait is for an acknowledgement, or for the time to send again.
func (c *conn) wait() {
	t := time.NewTimer(again)
	defer t.Stop()
	select {
	case <-c.room:
	case <-c.done:
	case <-t.C:
	}
}

// listener hands out connections to one port.
type listener struct {
	ready chan net.Conn
	done  chan struct{}
	once  sync.Once
	port  uint16
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.ready:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *listener) shut() { l.once.Do(func() { close(l.done) }) }

func (l *listener) Close() error {
	l.shut()
	return nil
}

func (l *listener) Addr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(metadataIP, l.port))
}

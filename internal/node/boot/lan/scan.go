package lan

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// Ports is what a scan of every TCP port found.
type Ports struct {
	Open   []uint16
	Closed int // the guest refused the connection
	Silent int // no answer, asked three times
}

// What a scan asks at once, how long it waits for another answer, and how often it
// asks. A guest's network device takes 256 frames before somebody looks at them.
const (
	window   = 256
	patience = 2 * time.Second
	asks     = 3
)

// scan is one under way. A port is asked from a port of ours that says which round it is.
type scan struct {
	open    map[uint16]bool
	waiting map[uint16]bool
	closed  int
	moved   chan struct{}
}

const scanPort = 48000

func (s *scan) source(port uint16) bool { return port >= scanPort && port < scanPort+asks }

// Scan asks every TCP port of the guest's whether it is open.
func (n *Network) Scan(ctx context.Context) (Ports, error) {
	s := &scan{open: map[uint16]bool{}, waiting: map[uint16]bool{}, moved: make(chan struct{}, 1)}
	n.mu.Lock()
	n.scan = s
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		n.scan = nil
		n.mu.Unlock()
	}()
	silent := make([]uint16, 0, 1<<16)
	for p := 1; p < 1<<16; p++ {
		silent = append(silent, uint16(p))
	}
	for round := uint16(0); round < asks && len(silent) > 0; round++ {
		var err error
		if silent, err = n.ask(ctx, s, silent, scanPort+round); err != nil {
			return Ports{}, err
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	out := Ports{Closed: s.closed, Silent: len(silent)}
	for p := range s.open {
		out.Open = append(out.Open, p)
	}
	slices.Sort(out.Open)
	return out, nil
}

// ask sends a SYN to each port, a window of them at a time, and returns those that did not answer.
func (n *Network) ask(ctx context.Context, s *scan, ports []uint16, source uint16) (silent []uint16, err error) {
	for len(ports) > 0 {
		n.mu.Lock()
		size := min(len(ports), window-len(s.waiting))
		for _, p := range ports[:size] {
			s.waiting[p] = true
			n.send(flow{netip.AddrPortFrom(guestIP, p), netip.AddrPortFrom(gatewayIP, source)}, 7000, 0, syn, nil)
		}
		n.mu.Unlock()
		room := window / 2
		if ports = ports[size:]; len(ports) == 0 {
			room = window
		}
		late, err := n.answers(ctx, s, window-room)
		if err != nil {
			return nil, err
		}
		silent = append(silent, late...)
	}
	return silent, nil
}

// answers waits until no more than some ports have not answered. When none does
// any more, it returns them all.
func (n *Network) answers(ctx context.Context, s *scan, some int) ([]uint16, error) {
	t := time.NewTimer(patience)
	defer t.Stop()
	for {
		n.mu.Lock()
		left := len(s.waiting)
		n.mu.Unlock()
		if left <= some {
			return nil, nil
		}
		select {
		case <-s.moved:
			t.Reset(patience)
		case <-t.C:
			n.mu.Lock()
			defer n.mu.Unlock()
			late := slices.Sorted(maps.Keys(s.waiting))
			clear(s.waiting)
			return late, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// scanned takes an answer. The caller holds the network's lock.
func (n *Network) scanned(s segment) {
	port := s.guest.Port()
	switch {
	case s.flags&(syn|ack) == syn|ack:
		n.scan.open[port] = true
		n.send(s.flow, s.ack, s.seq+1, rst, nil)
	case s.flags&rst != 0 && n.scan.waiting[port]:
		n.scan.closed++
	}
	delete(n.scan.waiting, port)
	wake(n.scan.moved)
}

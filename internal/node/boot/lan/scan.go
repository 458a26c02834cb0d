package lan

import (
	"context"
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

// What a scan asks at once, how long it waits for the last answers, and how often it asks.
const (
	batch    = 512
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
	var silent []uint16
	for first := 1; first < 1<<16; first += batch {
		var ports []uint16
		for p := first; p < first+batch && p < 1<<16; p++ {
			ports = append(ports, uint16(p))
		}
		for round := uint16(0); round < asks && len(ports) > 0; round++ {
			var err error
			if ports, err = n.ask(ctx, s, ports, scanPort+round); err != nil {
				return Ports{}, err
			}
		}
		silent = append(silent, ports...)
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

// ask sends a SYN to each port and returns those that did not answer.
func (n *Network) ask(ctx context.Context, s *scan, ports []uint16, source uint16) ([]uint16, error) {
	n.mu.Lock()
	for _, p := range ports {
		s.waiting[p] = true
		n.send(flow{netip.AddrPortFrom(guestIP, p), netip.AddrPortFrom(gatewayIP, source)}, 7000, 0, syn, nil)
	}
	n.mu.Unlock()
	t := time.NewTimer(patience)
	defer t.Stop()
	for {
		n.mu.Lock()
		left := make([]uint16, 0, len(s.waiting))
		for p := range s.waiting {
			left = append(left, p)
		}
		n.mu.Unlock()
		if len(left) == 0 {
			return nil, nil
		}
		select {
		case <-s.moved:
		case <-t.C:
			n.mu.Lock()
			clear(s.waiting)
			n.mu.Unlock()
			return left, nil
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

// Package lan is the network of one emulated machine: what a VM of Compute
// Engine finds on its wire, and what can be asked of it from there.
//
// Its promise: nothing of it leaves this process. Frames come over the
// connection that the emulator made, so no privilege, no network device and no
// port of the host is needed; the guest gets a /32 lease with classless routes
// and an MTU of 1460, names and metadata at 169.254.169.254, and reaches nothing
// else. What the guest asks for is written down.
package lan

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// MAC is the address that the guest's network device must have.
const MAC = "42:01:0a:80:00:0f"

var (
	guestMAC   = []byte{0x42, 0x01, 0x0a, 0x80, 0x00, 0x0f}
	gatewayMAC = []byte{0x42, 0x01, 0x0a, 0x80, 0x00, 0x01}
	guestIP    = netip.AddrFrom4([4]byte{10, 128, 0, 15})
	gatewayIP  = netip.AddrFrom4([4]byte{10, 128, 0, 1})
	metadataIP = netip.AddrFrom4([4]byte{169, 254, 169, 254})
)

// What a frame carries, and how large it may be: the MTU that the lease says, and Ethernet's head.
const (
	typeIPv4 = 0x0800
	typeARP  = 0x0806
	protoTCP = 6
	protoUDP = 17
	mtu      = 1460
	maxFrame = 65549
)

// Event is something that the guest did on its network.
type Event struct {
	At   time.Time
	What string // "lease", "name NAME", "connection ADDRESS", "GET PATH"
}

// Network is the wire of one guest. Make one with New.
type Network struct {
	mu        sync.Mutex  // of what follows
	out       chan []byte // frames to the guest; nil while there is none
	conns     map[flow]*conn
	listeners map[uint16]*listener
	scan      *scan
	events    []Event
	seen      map[string]bool
	leases    int
	nextPort  uint16
}

// New is a network that nothing is connected to yet.
func New() *Network {
	return &Network{conns: map[flow]*conn{}, listeners: map[uint16]*listener{}, seen: map[string]bool{}, nextPort: 49152}
}

// Serve answers the frames of a connection in QEMU's form, four bytes of length
// before each, until it ends.
func (n *Network) Serve(wire io.ReadWriter) error {
	out := make(chan []byte, maxQueue)
	n.mu.Lock()
	n.out = out
	n.mu.Unlock()
	var sent sync.WaitGroup
	sent.Go(func() { transmit(wire, out) })
	defer func() {
		n.hangUp()
		close(out)
		sent.Wait()
	}()
	r := bufio.NewReaderSize(wire, 1<<16)
	frame := make([]byte, maxFrame)
	for {
		var head [4]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		size := binary.BigEndian.Uint32(head[:])
		if size > maxFrame {
			return fmt.Errorf("a frame of %d bytes on the wire", size)
		}
		if _, err := io.ReadFull(r, frame[:size]); err != nil {
			return err
		}
		n.receive(frame[:size])
	}
}

// maxQueue is how many frames wait for the guest. What comes when it is full is
// lost, as on any wire.
const maxQueue = 4096

// transmit writes frames until there are no more, as many at once as there are;
// after an error it only takes them.
func transmit(wire io.Writer, frames <-chan []byte) {
	w := bufio.NewWriter(wire)
	var broken error // the reader sees it too
	for f := range frames {
		if broken == nil {
			_, broken = w.Write(f)
		}
		if broken == nil && len(frames) == 0 {
			broken = w.Flush()
		}
	}
}

// hangUp ends every connection: the guest is gone.
func (n *Network) hangUp() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.out = nil
	for f, c := range n.conns {
		c.end()
		delete(n.conns, f)
	}
	for _, l := range n.listeners {
		l.shut()
	}
}

// Events are what the guest did so far, each thing once, in order.
func (n *Network) Events() []Event {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.events)
}

// Leases is how often the guest took its address.
func (n *Network) Leases() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.leases
}

// Note writes down what the guest did, the first time.
func (n *Network) Note(what string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.note(what)
}

// maxEvents bounds what a guest can make this process remember.
const maxEvents = 1000

func (n *Network) note(what string) {
	if n.seen[what] || len(n.events) >= maxEvents {
		return
	}
	n.seen[what] = true
	n.events = append(n.events, Event{At: time.Now(), What: what})
}

// receive takes one frame. What is not understood is left alone, as on any wire.
func (n *Network) receive(frame []byte) {
	if len(frame) < 14 {
		return
	}
	body := frame[14:]
	n.mu.Lock()
	defer n.mu.Unlock()
	switch binary.BigEndian.Uint16(frame[12:]) {
	case typeARP:
		n.arp(body)
	case typeIPv4:
		if p, ok := parseIPv4(body); ok {
			n.packet(p)
		}
	}
}

// arp answers who asks for the gateway or for the metadata server.
func (n *Network) arp(b []byte) {
	if len(b) < 28 || binary.BigEndian.Uint16(b[6:]) != 1 {
		return
	}
	asked, _ := netip.AddrFromSlice(b[24:28])
	if asked != gatewayIP && asked != metadataIP {
		return
	}
	reply := slices.Concat([]byte{0, 1, 8, 0, 6, 4, 0, 2}, gatewayMAC, b[24:28], b[8:14], b[14:18])
	n.frame(typeARP, reply)
}

// frame sends one to the guest. The caller holds the lock.
func (n *Network) frame(kind uint16, body []byte) {
	head := binary.BigEndian.AppendUint32(nil, uint32(14+len(body))) //nolint:gosec // at most the MTU
	head = binary.BigEndian.AppendUint16(slices.Concat(head, guestMAC, gatewayMAC), kind)
	select {
	case n.out <- append(head, body...): // never, while there is no guest
	default:
	}
}

// packet is what is understood of an IPv4 packet.
type packet struct {
	src, dst netip.Addr
	protocol byte
	payload  []byte
}

// parseIPv4 takes a packet apart; fragments and truncated ones are refused.
func parseIPv4(b []byte) (packet, bool) {
	if len(b) < 20 || b[0]>>4 != 4 {
		return packet{}, false
	}
	head, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if head < 20 || total < head || total > len(b) || binary.BigEndian.Uint16(b[6:])&0x3fff != 0 {
		return packet{}, false
	}
	src, _ := netip.AddrFromSlice(b[12:16])
	dst, _ := netip.AddrFromSlice(b[16:20])
	return packet{src, dst, b[9], b[head:total]}, true
}

func (n *Network) packet(p packet) {
	switch {
	case p.protocol == protoUDP && len(p.payload) >= 8:
		n.datagram(p)
	case p.protocol == protoTCP:
		if s, ok := parseSegment(p); ok {
			n.segment(s)
		}
	}
}

// datagram answers DHCP and DNS, and notes what else is asked of whom.
func (n *Network) datagram(p packet) {
	from, to := binary.BigEndian.Uint16(p.payload), binary.BigEndian.Uint16(p.payload[2:])
	body := p.payload[8:]
	switch {
	case to == 67:
		n.dhcp(body)
	case to == 53 && p.dst == metadataIP:
		if name, answer := answerName(body); answer != nil {
			n.note("name " + name)
			n.udp(netip.AddrPortFrom(p.dst, to), netip.AddrPortFrom(p.src, from), answer)
		}
	case !p.dst.IsMulticast():
		n.note("datagram to " + netip.AddrPortFrom(p.dst, to).String())
	}
}

func (n *Network) udp(from, to netip.AddrPort, body []byte) {
	head := binary.BigEndian.AppendUint16(nil, from.Port())
	head = binary.BigEndian.AppendUint16(head, to.Port())
	head = binary.BigEndian.AppendUint16(head, uint16(8+len(body))) //nolint:gosec // answers are below the MTU
	n.ip(protoUDP, from.Addr(), to.Addr(), slices.Concat(head, []byte{0, 0}, body))
}

// ip sends a packet. A UDP checksum of zero means none; TCP's is filled in here.
func (n *Network) ip(protocol byte, src, dst netip.Addr, payload []byte) {
	s, d := src.As4(), dst.As4()
	if protocol == protoTCP {
		pseudo := slices.Concat(s[:], d[:], []byte{0, protocol})
		pseudo = binary.BigEndian.AppendUint16(pseudo, uint16(len(payload))) //nolint:gosec // at most the MTU
		binary.BigEndian.PutUint16(payload[16:], checksum(slices.Concat(pseudo, payload)))
	}
	head := []byte{0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, protocol, 0, 0}
	binary.BigEndian.PutUint16(head[2:], uint16(20+len(payload))) //nolint:gosec // at most the MTU
	head = slices.Concat(head, s[:], d[:])
	binary.BigEndian.PutUint16(head[10:], checksum(head))
	n.frame(typeIPv4, append(head, payload...))
}

// checksum is the Internet's (RFC 1071).
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	if len(b)%2 == 1 {
		sum += uint32(b[len(b)-1]) << 8
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum) // folded to 16 bits above
}

// Listen takes the guest's connections to a port of the metadata server.
func (n *Network) Listen(port uint16) net.Listener {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := &listener{ready: make(chan net.Conn, 64), done: make(chan struct{}), port: port}
	n.listeners[port] = l
	return l
}

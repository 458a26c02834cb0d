package lan

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
)

// dhcpHead is the fixed part of a message, with the cookie behind it.
const dhcpHead = 240

// message is what is understood of a DHCP message.
type message struct {
	kind byte // 1 discover, 3 request
	head []byte
}

// parseDHCP takes a client's message apart (RFC 2131, RFC 2132).
func parseDHCP(b []byte) (message, bool) {
	if len(b) < dhcpHead || b[0] != 1 || binary.BigEndian.Uint32(b[236:]) != 0x63825363 {
		return message{}, false
	}
	m := message{head: b[:dhcpHead]}
	for o := b[dhcpHead:]; len(o) > 0 && o[0] != 255; {
		if o[0] == 0 {
			o = o[1:]
			continue
		}
		if len(o) < 2 || len(o) < 2+int(o[1]) {
			return message{}, false
		}
		if o[0] == 53 && o[1] == 1 {
			m.kind = o[2]
		}
		o = o[2+int(o[1]):]
	}
	return m, m.kind != 0
}

// dhcp gives the guest its one address, as Compute Engine does.
func (n *Network) dhcp(b []byte) {
	m, ok := parseDHCP(b)
	if !ok {
		return
	}
	var kind byte
	switch m.kind {
	case 1: // discover: offer
		kind = 2
	case 3: // request: ack
		kind = 5
		n.leases++
		n.note("lease")
	default:
		return
	}
	n.udp(netip.AddrPortFrom(metadataIP, 67), netip.MustParseAddrPort("255.255.255.255:68"), lease(m, kind))
}

func lease(m message, kind byte) []byte {
	b := slices.Clone(m.head)
	b[0] = 2
	guest, gateway, server := guestIP.As4(), gatewayIP.As4(), metadataIP.As4()
	copy(b[16:], guest[:])
	copy(b[20:], server[:])
	for _, o := range []struct {
		code byte
		data []byte
	}{
		{53, []byte{kind}},
		{54, server[:]},
		{51, []byte{0, 0, 0x0e, 0x10}}, // an hour
		{1, []byte{255, 255, 255, 255}},
		{3, gateway[:]},
		{6, server[:]},
		{12, []byte("node.c.mero-tee.internal")},
		{15, []byte("c.mero-tee.internal")},
		{26, []byte{mtu >> 8, mtu & 255}},
		{121, slices.Concat([]byte{32}, gateway[:], []byte{0, 0, 0, 0}, []byte{0}, gateway[:])},
	} {
		b = append(append(b, o.code, byte(len(o.data))), o.data...) //nolint:gosec // our own options are short
	}
	return append(b, 255)
}

// metadataName is the one name that has an address here.
const metadataName = "metadata.google.internal"

// answerName answers one question of DNS (RFC 1035): the metadata server's
// address, and for every other name that there is none.
func answerName(q []byte) (name string, answer []byte) {
	if len(q) < 12 || q[2]&0xf8 != 0 || binary.BigEndian.Uint16(q[4:]) != 1 {
		return "", nil
	}
	name, end, ok := question(q)
	if !ok {
		return "", nil
	}
	kind := binary.BigEndian.Uint16(q[end:])
	known := strings.EqualFold(strings.TrimSuffix(name, "."), metadataName)
	head := []byte{q[0], q[1], 0x84, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}
	if !known {
		head[3] |= 3 // no such name
	}
	out := append(head, q[12:end+4]...)
	if known && kind == 1 {
		out[7] = 1
		a := metadataIP.As4()
		out = append(out, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4)
		out = append(out, a[:]...)
	}
	return name, out
}

// question is the name that is asked for, and where its type begins.
func question(q []byte) (name string, end int, ok bool) {
	var labels []string
	at := 12
	for at < len(q) && q[at] != 0 {
		size := int(q[at])
		if size > 63 || at+1+size > len(q) || len(labels) > 32 {
			return "", 0, false
		}
		labels = append(labels, printable(q[at+1:at+1+size]))
		at += 1 + size
	}
	if at+5 > len(q) {
		return "", 0, false
	}
	return strings.Join(labels, "."), at + 1, true
}

// printable is text from a guest that can be shown.
func printable(b []byte) string {
	return strings.Map(func(r rune) rune {
		if r < '!' || r > '~' {
			return '?'
		}
		return r
	}, string(b))
}

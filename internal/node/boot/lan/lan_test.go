package lan_test

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/node/boot/lan"
)

// guest is the other end of the wire, as simple as can be.
type guest struct {
	t    *testing.T
	wire net.Conn
	in   *bufio.Reader
}

func connected(t *testing.T) (*lan.Network, *guest) {
	t.Helper()
	n := lan.New()
	ours, theirs := net.Pipe()
	done := make(chan error, 1)
	go func() { done <- n.Serve(ours) }()
	t.Cleanup(func() {
		require.NoError(t, theirs.Close())
		require.NoError(t, <-done)
	})
	require.NoError(t, theirs.SetDeadline(time.Now().Add(2*time.Minute)))
	return n, &guest{t, theirs, bufio.NewReader(theirs)}
}

func (g *guest) send(kind uint16, body []byte) {
	frame := append([]byte{0x42, 1, 0x0a, 0x80, 0, 1, 0x42, 1, 0x0a, 0x80, 0, 0x0f}, byte(kind>>8), byte(kind))
	frame = append(frame, body...)
	_, err := g.wire.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...))
	require.NoError(g.t, err)
}

func (g *guest) receive() (kind uint16, body []byte) {
	var head [4]byte
	_, err := io.ReadFull(g.in, head[:])
	require.NoError(g.t, err)
	frame := make([]byte, binary.BigEndian.Uint32(head[:]))
	_, err = io.ReadFull(g.in, frame)
	require.NoError(g.t, err)
	return binary.BigEndian.Uint16(frame[12:]), frame[14:]
}

func (g *guest) ip(protocol byte, dst [4]byte, payload []byte) {
	head := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 128, 0, 15, dst[0], dst[1], dst[2], dst[3]}
	binary.BigEndian.PutUint16(head[2:], uint16(20+len(payload)))
	g.send(0x0800, append(head, payload...))
}

func (g *guest) udp(dst [4]byte, from, to uint16, body []byte) {
	b := []byte{byte(from >> 8), byte(from), byte(to >> 8), byte(to), 0, 0, 0, 0}
	binary.BigEndian.PutUint16(b[4:], uint16(8+len(body)))
	g.ip(17, dst, append(b, body...))
}

type segment struct {
	seq, ack uint32
	flags    byte
	data     string
}

// tcp sends a segment from port 5000 to one of the metadata server's, or from
// one of the guest's to the gateway's.
func (g *guest) tcp(dst [4]byte, from, to uint16, s segment) {
	b := make([]byte, 20, 20+len(s.data))
	binary.BigEndian.PutUint16(b, from)
	binary.BigEndian.PutUint16(b[2:], to)
	binary.BigEndian.PutUint32(b[4:], s.seq)
	binary.BigEndian.PutUint32(b[8:], s.ack)
	b[12], b[13], b[14] = 5<<4, s.flags, 0xff
	g.ip(6, dst, append(b, s.data...))
}

// segment receives one, and its ports.
func (g *guest) segment() (from, to uint16, s segment) {
	kind, b := g.receive()
	require.Equal(g.t, uint16(0x0800), kind)
	require.Equal(g.t, byte(6), b[9])
	b = b[20:]
	return binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:]), segment{binary.BigEndian.Uint32(b[4:]),
		binary.BigEndian.Uint32(b[8:]), b[13], string(b[b[12]>>4*4:])}
}

const (
	fin  = 1
	syn  = 2
	rst  = 4
	psh  = 8
	ackF = 16
)

var server = [4]byte{169, 254, 169, 254}

func TestTheGatewayHasAnAddress(t *testing.T) {
	t.Parallel()
	_, g := connected(t)
	request := []byte{0, 1, 8, 0, 6, 4, 0, 1, 0x42, 1, 0x0a, 0x80, 0, 0x0f, 10, 128, 0, 15, 0, 0, 0, 0, 0, 0, 10, 128, 0,
		1}
	other := append(append([]byte(nil), request[:27]...), 9)
	g.send(0x0806, other) // nobody has it, so nobody answers
	g.send(0x0806, request)
	kind, b := g.receive()
	require.Equal(t, uint16(0x0806), kind)
	require.Equal(t, []byte{0, 1, 8, 0, 6, 4, 0, 2, 0x42, 1, 0x0a, 0x80, 0, 1, 10, 128, 0, 1, 0x42, 1, 0x0a, 0x80, 0, 0x0f,
		10, 128, 0, 15}, b)
}

func TestALeaseIsAsOnComputeEngine(t *testing.T) {
	t.Parallel()
	n, g := connected(t)
	message := make([]byte, 240)
	message[0] = 1
	copy(message[236:], []byte{0x63, 0x82, 0x53, 0x63})
	for kind, answer := range map[byte]byte{1: 2, 3: 5} {
		g.udp([4]byte{255, 255, 255, 255}, 68, 67, append(append([]byte(nil), message...), 53, 1, kind, 255))
		_, b := g.receive()
		lease := b[28:]
		require.Equal(t, []byte{10, 128, 0, 15}, lease[16:20])
		require.Contains(t, string(lease[240:]), string([]byte{53, 1, answer}))
		require.Contains(t, string(lease[240:]), string([]byte{1, 4, 255, 255, 255, 255}), "a /32")
		require.Contains(t, string(lease[240:]), string([]byte{26, 2, 1460 >> 8, 1460 & 255}))
		require.Contains(t, string(lease[240:]), string([]byte{121, 14, 32, 10, 128, 0, 1, 0, 0, 0, 0, 0, 10, 128, 0, 1}))
	}
	require.Equal(t, 1, n.Leases())
}

func TestOneNameHasAnAddress(t *testing.T) {
	t.Parallel()
	n, g := connected(t)
	ask := func(name ...string) []byte {
		q := []byte{7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
		for _, label := range name {
			q = append(append(q, byte(len(label))), label...)
		}
		g.udp(server, 4000, 53, append(q, 0, 0, 1, 0, 1))
		_, b := g.receive()
		return b[28:]
	}
	answer := ask("metadata", "google", "internal")
	require.Equal(t, byte(1), answer[7])
	require.Equal(t, []byte{169, 254, 169, 254}, answer[len(answer)-4:])
	require.Equal(t, byte(3), ask("example", "com")[3]&15, "no such name")
	require.Equal(t, "name example.com", n.Events()[1].What)
}

// request opens a connection to the metadata server, says something and reads the answer.
func (g *guest) request(port uint16, text string) (said string) {
	g.tcp(server, port, 80, segment{seq: 100, flags: syn})
	_, _, s := g.segment()
	for s.flags != syn|ackF { // what is left of the connection before
		_, _, s = g.segment()
	}
	require.Equal(g.t, uint32(101), s.ack)
	next := s.seq + 1
	g.tcp(server, port, 80, segment{seq: 101, ack: next, flags: psh | ackF, data: text})
	for {
		_, _, s = g.segment()
		switch {
		case s.flags&fin != 0:
			g.tcp(server, port, 80, segment{seq: 101 + uint32(len(text)), ack: s.seq + 1, flags: fin | ackF})
			return said
		case s.data != "" && s.seq == next:
			said += s.data
			next += uint32(len(s.data))
			g.tcp(server, port, 80, segment{seq: 101 + uint32(len(text)), ack: next, flags: ackF})
		}
	}
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	n, g := connected(t)
	m := n.ServeMetadata(map[string]string{"ssh-keys": "a:b"})
	head := " HTTP/1.1\r\nHost: metadata.google.internal\r\nConnection: close\r\n"
	const flavor = "Metadata-Flavor: Google\r\n"
	for _, tc := range []struct{ request, want string }{
		{"GET /computeMetadata/v1/instance/attributes/ssh-keys" + head + flavor + "\r\n", "200 OK"},
		{"GET /computeMetadata/v1/instance/attributes/ssh-keys" + head + "\r\n", "403 Forbidden"},
		{"GET /computeMetadata/v1/instance/attributes/other" + head + flavor + "\r\n", "404 Not Found"},
		{"GET /computeMetadata/v1/?recursive=true" + head + flavor + "\r\n", "ssh-keys"},
		{"PUT /computeMetadata/v1/instance/guest-attributes/mero/report" + head + flavor + "Content-Length: 5\r\n\r\nhello",
			"200 OK"},
	} {
		require.Contains(t, g.request(uint16(5000+len(tc.request)), tc.request), tc.want, tc.request)
	}
	require.Equal(t, map[string]string{"mero/report": "hello"}, m.Reported())
	var asked []string
	for _, e := range n.Events() {
		asked = append(asked, e.What)
	}
	require.Contains(t, asked, "PUT /computeMetadata/v1/instance/guest-attributes/mero/report")
	require.Contains(t, asked, "connection to 169.254.169.254:80")
}

func TestWhatIsNotThereIsRefused(t *testing.T) {
	t.Parallel()
	n, g := connected(t)
	g.tcp([4]byte{203, 0, 113, 7}, 5000, 443, segment{seq: 7, flags: syn})
	_, _, s := g.segment()
	require.Equal(t, segment{seq: 0, ack: 8, flags: rst | ackF}, s)
	require.Equal(t, "connection to 203.0.113.7:443", n.Events()[0].What)
}

// A guest with one open port, one that does not answer, and the rest closed.
func TestScan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // nobody waits for the silent one
		n, g := connected(t)
		synctest.Wait() // until the wire is served
		found := make(chan lan.Ports, 1)
		go func() {
			ports, err := n.Scan(t.Context())
			if err == nil {
				found <- ports
			}
			close(found)
		}()
		asked := map[uint16]int{}
		for answered := 0; answered < 65535-1 || asked[9] < 3; {
			source, port, s := g.segment()
			if s.flags != syn { // what ends the open one's connection
				continue
			}
			asked[port]++
			switch port {
			case 9:
				continue
			case 22:
				g.tcp([4]byte{10, 128, 0, 1}, port, source, segment{seq: 1, ack: s.seq + 1, flags: syn | ackF})
			default:
				g.tcp([4]byte{10, 128, 0, 1}, port, source, segment{ack: s.seq + 1, flags: rst | ackF})
			}
			answered++
		}
		require.Equal(t, lan.Ports{Open: []uint16{22}, Closed: 65533, Silent: 1}, <-found)
		require.Len(t, asked, 65535)
		require.Equal(t, 1, asked[80])
	})
}

func TestDial(t *testing.T) {
	t.Parallel()
	n, g := connected(t)
	dialled := make(chan net.Conn, 1)
	go func() {
		c, err := n.Dial(t.Context(), 22)
		if err == nil {
			dialled <- c
		}
		close(dialled)
	}()
	ours, port, s := g.segment()
	require.Equal(t, uint16(22), port)
	gateway := [4]byte{10, 128, 0, 1}
	g.tcp(gateway, 22, ours, segment{seq: 500, ack: s.seq + 1, flags: syn | ackF})
	_, _, answer := g.segment()
	require.Equal(t, byte(ackF), answer.flags)
	c := <-dialled
	require.NotNil(t, c)
	g.tcp(gateway, 22, ours, segment{seq: 501, ack: answer.seq, flags: psh | ackF, data: "SSH-2.0"})
	said := make([]byte, 7)
	go func() { _, _ = io.Copy(io.Discard, g.in) }() // its acknowledgement, and what else comes until the wire is cut
	_, err := io.ReadFull(c, said)
	require.NoError(t, err)
	require.Equal(t, "SSH-2.0", string(said))
}

// Nothing that a guest sends breaks the network.
func FuzzFrames(f *testing.F) {
	f.Add(uint16(0x0806), []byte{0, 1})
	f.Add(uint16(0x0800), []byte{0x45, 0, 0, 20})
	f.Fuzz(func(t *testing.T, kind uint16, body []byte) {
		if len(body) > 1500 {
			return
		}
		n := lan.New()
		n.ServeMetadata(nil)
		ours, theirs := net.Pipe()
		done := make(chan error, 1)
		go func() { done <- n.Serve(ours) }()
		go func() { _, _ = io.Copy(io.Discard, theirs) }()
		frame := append(make([]byte, 12), byte(kind>>8), byte(kind))
		frame = append(frame, body...)
		_, err := theirs.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...))
		require.NoError(t, err)
		require.NoError(t, theirs.Close())
		require.NoError(t, <-done)
	})
}

var _ http.Handler = (*lan.Metadata)(nil)

package machine_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/node/boot/machine"
)

// printed is a command and its answer as swtpm writes them down.
func printed(command, answer []byte) string {
	var b strings.Builder
	for i, data := range [][]byte{command, answer} {
		fmt.Fprintf(&b, " SWTPM_IO_%s: length %d\n", []string{"Read", "Write"}[i], len(data))
		for line := range slicesOf(data, 16) {
			fmt.Fprintf(&b, " % X \n", line)
		}
	}
	return b.String()
}

func slicesOf(data []byte, size int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(data) > 0 {
			n := min(size, len(data))
			if !yield(data[:n]) {
				return
			}
			data = data[n:]
		}
	}
}

func command(code uint32, body ...byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, 0x8002)
	b = binary.BigEndian.AppendUint32(b, uint32(10+len(body)))
	return append(binary.BigEndian.AppendUint32(b, code), body...)
}

var success, refused = command(0), command(0x101)

// extend is TPM2_PCR_Extend with a SHA-1 digest, too.
func extend(pcr byte, digest byte) []byte {
	body := append([]byte{0, 0, 0, pcr, 0, 0, 0, 9}, make([]byte, 9)...)
	body = append(body, 0, 0, 0, 2, 0, 4)
	body = append(append(body, make([]byte, 20)...), 0, 0x0c)
	return command(0x182, append(body, bytes.Repeat([]byte{digest}, 48)...)...)
}

var startup = command(0x144, 0, 0)

func TestMeasured(t *testing.T) {
	t.Parallel()
	one, two := tdx.Register(bytes.Repeat([]byte{1}, 48)), tdx.Register(bytes.Repeat([]byte{2}, 48))
	record := " Ctrl Cmd: length 4\n 00 00 00 10 \n" + printed(startup, success) + printed(extend(4, 1), success) +
		printed(command(0x17e, 1, 2, 3), success) + printed(extend(4, 9), refused) + printed(extend(11, 2), success) +
		printed(startup, success) + printed(extend(4, 2), success)
	boots, err := machine.Measured(strings.NewReader(record))
	require.NoError(t, err)
	require.Equal(t, [][]machine.Measurement{{{PCR: 4, Digest: one}, {PCR: 11, Digest: two}}, {{PCR: 4, Digest: two}}},
		boots)
	require.Equal(t, tdx.Register{}.Extend(one), replay(boots[0], 4))
	boots, err = machine.Measured(strings.NewReader(record[:len(record)-200]))
	require.NoError(t, err, "a record that is being written")
	require.Len(t, boots, 2)
}

func TestARecordThatIsNotUnderstoodIsRefused(t *testing.T) {
	t.Parallel()
	short := extend(4, 1)
	for name, tc := range map[string]struct{ record, want string }{
		"an event": {printed(command(0x13c, 0, 0, 0, 4), success),
			"a PCR was changed by a command that nobody expects, 0x13c"},
		"a reset":            {printed(command(0x13d, 0, 0, 0, 16), success), "0x13d"},
		"no SHA-384":         {printed(startup, success) + printed(short[:len(short)-50], success), "cannot be read"},
		"before its start":   {printed(short, success), "extended before it was started"},
		"a size":             {" SWTPM_IO_Read: length 99999\n", `a command of "99999" bytes`},
		"words in a command": {" SWTPM_IO_Read: length 12\n so it is\n", "breaks off"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := machine.Measured(strings.NewReader(tc.record))
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func FuzzMeasured(f *testing.F) {
	f.Add(printed(startup, success) + printed(extend(4, 1), success))
	f.Fuzz(func(t *testing.T, record string) {
		boots, err := machine.Measured(strings.NewReader(record))
		if err != nil {
			return
		}
		for _, b := range boots {
			for _, m := range b {
				require.GreaterOrEqual(t, m.PCR, 0)
				require.Less(t, m.PCR, 24)
			}
		}
	})
}

// store is an empty store of variables, as OVMF's build makes it.
func store(size int) []byte {
	b := bytes.Repeat([]byte{0xff}, size)
	head := make([]byte, 0x48)
	copy(head[40:], "_FVH")
	binary.LittleEndian.PutUint16(head[48:], uint16(len(head)))
	copy(b, head)
	at := b[len(head):]
	copy(at, []byte{0x78, 0x2c, 0xf3, 0xaa, 0x7b, 0x94, 0x9a, 0x43, 0xa1, 0x80, 0x2e, 0x14, 0x4e, 0xc3, 0x77, 0x92})
	binary.LittleEndian.PutUint32(at[16:], uint32(size-len(head)))
	copy(at[20:], []byte{0x5a, 0xfe, 0, 0, 0, 0, 0, 0})
	return b
}

func TestAddVariables(t *testing.T) {
	t.Parallel()
	empty := store(4096)
	one, err := machine.AddVariables(empty, machine.SystemdOptions("quiet"))
	require.NoError(t, err)
	require.Equal(t, store(4096), empty, "the given store is left alone")
	v := one[0x48+28:]
	require.Equal(t, []byte{0xaa, 0x55, 0x3f, 0, 7, 0, 0, 0}, v[:8])
	require.Equal(t, uint32(30), binary.LittleEndian.Uint32(v[36:]), "SystemdOptions and a NUL, in UTF-16")
	require.Equal(t, uint32(12), binary.LittleEndian.Uint32(v[40:]))
	require.Equal(t, "S\x00y\x00s\x00", string(v[60:66]))
	require.Equal(t, "q\x00u\x00i\x00e\x00t\x00\x00\x00", string(v[90:102]))
	two, err := machine.AddVariables(one, machine.SystemdOptions("debug"))
	require.NoError(t, err)
	require.Equal(t, []byte{0xaa, 0x55}, two[0x48+28+104:][:2], "aligned to four bytes")
}

func TestAStoreThatIsNotUnderstoodIsRefused(t *testing.T) {
	t.Parallel()
	change := func(at int, with byte) []byte {
		b := store(4096)
		b[at] = with
		return b
	}
	for name, tc := range map[string]struct {
		store []byte
		want  string
	}{
		"empty":              {nil, "not a variable store"},
		"no signature":       {change(40, 0), "not a variable store"},
		"another kind":       {change(0x48, 0), "not a variable store"},
		"longer than itself": {change(0x48+18, 0xff), "not a variable store"},
		"not blank":          {change(0x48+28, 0), "is not blank"},
		"full":               {store(0x48 + 28 + 80), "does not fit"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := machine.AddVariables(tc.store, machine.SystemdOptions("x"))
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func FuzzAddVariables(f *testing.F) {
	f.Add(store(4096))
	f.Fuzz(func(t *testing.T, b []byte) {
		if out, err := machine.AddVariables(b, machine.SystemdOptions("x")); err == nil {
			require.Len(t, out, len(b))
		}
	})
}

// client speaks NBD as QEMU does.
type client struct {
	t *testing.T
	net.Conn
}

func attach(t *testing.T, d *machine.Disk) client {
	t.Helper()
	ours, theirs := net.Pipe()
	done := make(chan error, 1)
	go func() { done <- d.Serve(ours) }()
	c := client{t, theirs}
	t.Cleanup(func() {
		require.NoError(t, c.Close())
		require.NoError(t, <-done)
	})
	require.Equal(t, "NBDMAGICIHAVEOPT\x00\x03", string(c.read(18)))
	c.write([]byte{0, 0, 0, 3})
	option := func(kind byte) []byte { return append([]byte("IHAVEOPT"), 0, 0, 0, kind, 0, 0, 0, 0) }
	c.write(option(8)) // structured replies, which it does not have
	require.Equal(t, []byte{0x80, 0, 0, 1}, c.read(20)[12:16])
	c.write(option(7))
	require.Equal(t, byte(3), c.read(20)[15])
	require.Equal(t, uint64(8192), binary.BigEndian.Uint64(c.read(12)[2:]))
	require.Equal(t, byte(1), c.read(20)[15])
	return c
}

func (c client) read(n int) []byte {
	b := make([]byte, n)
	_, err := io.ReadFull(c, b)
	require.NoError(c.t, err)
	return b
}

func (c client) write(b []byte) {
	_, err := c.Write(b)
	require.NoError(c.t, err)
}

// do gives a request and returns its error and data.
func (c client) do(kind byte, off uint64, size uint32, data []byte) (code uint32, got []byte) {
	b := append([]byte{0x25, 0x60, 0x95, 0x13, 0, 0, 0, kind}, "12345678"...)
	b = binary.BigEndian.AppendUint64(b, off)
	c.write(append(binary.BigEndian.AppendUint32(b, size), data...))
	head := c.read(16)
	require.Equal(c.t, "12345678", string(head[8:]))
	if code = binary.BigEndian.Uint32(head[4:]); code == 0 && kind == 0 {
		got = c.read(int(size))
	}
	return code, got
}

func TestADiskIsNotWrittenTo(t *testing.T) {
	t.Parallel()
	base := bytes.Repeat([]byte{7}, 8192)
	d := machine.NewDisk(bytes.NewReader(base), 8192, 5000)
	c := attach(t, d)
	code, got := c.do(0, 4999, 3, nil)
	require.Zero(t, code)
	require.Equal(t, []byte{7, 6, 7}, got, "one byte is another")
	require.Equal(t, []int64{4096}, d.Read(0, 8192))
	code, _ = c.do(1, 4094, 4, []byte("abcd"))
	require.Zero(t, code)
	_, got = c.do(0, 4093, 6, nil)
	require.Equal(t, "\x07abcd\x07", string(got))
	require.Equal(t, []int64{0, 4096}, d.Written())
	require.Equal(t, bytes.Repeat([]byte{7}, 8192), base)
	d.Replace(8000, []byte("\x07\x07\x07"), []byte("new"))
	_, got = c.do(0, 7999, 5, nil)
	require.Equal(t, "\x07new\x07", string(got))
}

func TestTheFirstPageThatIsReadIsAnother(t *testing.T) {
	t.Parallel()
	d := machine.NewDisk(bytes.NewReader(make([]byte, 8192)), 8192)
	c := attach(t, d)
	d.FlipFirstRead(4096, 8192, 2048)
	_, got := c.do(0, 0, 4096, nil)
	require.Equal(t, make([]byte, 4096), got)
	require.Empty(t, d.Flipped())
	for range 2 {
		_, got = c.do(0, 6144, 2, nil)
		require.Equal(t, []byte{1, 0}, got, "and stays so")
		require.Equal(t, []int64{6144}, d.Flipped())
	}
}

func TestTheFirstReadIsWaitedFor(t *testing.T) {
	t.Parallel()
	d := machine.NewDisk(bytes.NewReader(make([]byte, 8192)), 8192)
	c := attach(t, d)
	var before [][]int64
	d.BeforeFirstRead(4096, 6144, func() { before = append(before, d.Read(0, 8192)) })
	for _, tc := range []struct {
		off    uint64
		called int
	}{{0, 0}, {6144, 0}, {4607, 1}, {4096, 1}} {
		code, got := c.do(0, tc.off, 512, nil)
		require.Zero(t, code)
		require.Equal(t, make([]byte, 512), got)
		require.Len(t, before, tc.called)
	}
	require.Equal(t, [][]int64{{0, 4096}}, before, "what was read until then")
}

func TestARequestOutsideOfTheDiskIsRefused(t *testing.T) {
	t.Parallel()
	c := attach(t, machine.NewDisk(bytes.NewReader(make([]byte, 8192)), 8192))
	for _, tc := range []struct {
		kind byte
		off  uint64
		size uint32
		data []byte
	}{{0, 8192, 1, nil}, {0, 1 << 63, 1, nil}, {1, 8190, 4, []byte("abcd")}, {9, 0, 0, nil}} {
		code, _ := c.do(tc.kind, tc.off, tc.size, tc.data)
		require.Equal(t, uint32(22), code, "%+v", tc)
	}
	code, _ := c.do(3, 0, 0, nil)
	require.Zero(t, code, "flush")
}

// Nothing that a client says breaks the disk.
func FuzzDisk(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x03IHAVEOPT\x00\x00\x00\x07\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, said []byte) {
		d := machine.NewDisk(bytes.NewReader(make([]byte, 8192)), 8192)
		_ = d.Serve(struct {
			io.Reader
			io.Writer
		}{bytes.NewReader(said), io.Discard})
		require.LessOrEqual(t, len(d.Written()), 2)
	})
}

// replay computes a PCR from what was extended into it.
func replay(measured []machine.Measurement, pcr int) tdx.Register {
	var r tdx.Register
	for _, m := range measured {
		if m.PCR == pcr {
			r = r.Extend(m.Digest)
		}
	}
	return r
}

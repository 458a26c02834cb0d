package machine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"sync"
)

// Disk is a raw disk as one machine sees it: what the machine writes is kept
// beside it, bytes can be other than they are, and who reads what is known. It
// is served to the emulator by the NBD protocol.
type Disk struct {
	base io.ReaderAt
	size int64

	mu      sync.Mutex
	flips   map[int64]byte   // by offset; what is XORed
	written map[int64][]byte // by number of the page
	reads   map[int64]int    // by number of the page
	trap    trap             // where the first page that is read has another bit
	watch   watch            // whom the first read tells
}

// trap is a byte of the first page that is read between two offsets.
type trap struct{ from, to, in int64 }

// watch is what is done before the first read between two offsets is answered.
type watch struct {
	from, to int64
	do       func()
}

// page is the unit in which writes are kept and reads are counted, in bytes.
const page = 4096

// maxRequest bounds what is read or written at once, in bytes.
const maxRequest = 64 << 20

// NewDisk is base with one bit of the byte at each of the offsets flipped.
func NewDisk(base io.ReaderAt, size int64, flips ...int64) *Disk {
	d := &Disk{base: base, size: size, flips: map[int64]byte{}, written: map[int64][]byte{}, reads: map[int64]int{}}
	for _, at := range flips {
		d.flips[at] ^= 1
	}
	return d
}

// FlipFirstRead makes one bit another in the first page that the machine reads
// between two offsets from now on: of the byte that is so far in the page. It stays so.
func (d *Disk) FlipFirstRead(from, to, in int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.trap = trap{from, to, in}
}

// BeforeFirstRead does something once, before it answers the first read of a page
// between two offsets from now on.
func (d *Disk) BeforeFirstRead(from, to int64, do func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.watch = watch{from, to, do}
}

// watched is what is to be done before a read is answered, nil for most.
func (d *Disk) watched(off, end int64) func() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.watch.do == nil || end <= d.watch.from || off >= d.watch.to {
		return nil
	}
	do := d.watch.do
	d.watch = watch{}
	return do
}

// Flipped are the offsets of the bytes that are other than on the disk.
func (d *Disk) Flipped() []int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.flips))
}

// Replace has the machine see other bytes at an offset from now on, where it has seen old.
func (d *Disk) Replace(at int64, old, other []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range min(len(old), len(other)) {
		if change := old[i] ^ other[i]; change != 0 {
			d.flips[at+int64(i)] ^= change
		}
	}
}

// Written are the offsets of the pages that the machine wrote.
func (d *Disk) Written() []int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := slices.Sorted(maps.Keys(d.written))
	for i := range out {
		out[i] *= page
	}
	return out
}

// Read are the offsets of the pages that the machine read between two offsets.
func (d *Disk) Read(from, to int64) []int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []int64
	for p := range d.reads {
		if at := p * page; at >= from && at < to {
			out = append(out, at)
		}
	}
	slices.Sort(out)
	return out
}

// ReadAt reads as the machine does.
func (d *Disk) ReadAt(b []byte, off int64) (int, error) {
	n, err := d.base.ReadAt(b, off)
	if err != nil && !errors.Is(err, io.EOF) {
		return n, err
	}
	end := off + int64(len(b))
	if do := d.watched(off, end); do != nil {
		do()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for p := off / page; p*page < end; p++ {
		d.reads[p]++
		if at := p * page; at >= d.trap.from && at < d.trap.to {
			d.flips[at+d.trap.in] ^= 1
			d.trap = trap{}
		}
		if kept := d.written[p]; kept != nil {
			from, to := max(off, p*page), min(end, (p+1)*page)
			copy(b[from-off:to-off], kept[from-p*page:to-p*page])
		}
	}
	for at, bit := range d.flips {
		if at >= off && at < end {
			b[at-off] ^= bit
		}
	}
	return len(b), nil
}

// WriteAt keeps what the machine writes.
func (d *Disk) WriteAt(b []byte, off int64) (int, error) {
	for done := 0; done < len(b); {
		at := off + int64(done)
		p := at / page
		kept, err := d.kept(p)
		if err != nil {
			return done, err
		}
		d.mu.Lock()
		done += copy(kept[at-p*page:], b[done:])
		d.written[p] = kept
		d.mu.Unlock()
	}
	return len(b), nil
}

func (d *Disk) kept(p int64) ([]byte, error) {
	d.mu.Lock()
	kept := d.written[p]
	d.mu.Unlock()
	if kept != nil {
		return kept, nil
	}
	kept = make([]byte, page)
	if _, err := d.base.ReadAt(kept, p*page); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return kept, nil
}

// Numbers of the NBD protocol (github.com/NetworkBlockDevice/nbd, doc/proto.md).
const (
	nbdMagic       = 0x4e42444d41474943
	nbdOption      = 0x49484156454f5054
	nbdReplyOption = 0x3e889045565a9
	nbdRequest     = 0x25609513
	nbdReply       = 0x67446698

	nbdExportName = 1
	nbdAbort      = 2
	nbdInfo       = 6
	nbdGo         = 7

	nbdFlags      = 1 | 1<<2 // has flags; flush
	nbdMaxOptions = 64
)

// Serve speaks NBD with one client until it goes.
func (d *Disk) Serve(c io.ReadWriter) error {
	if err := d.negotiate(c); err != nil {
		return err
	}
	var head [28]byte
	for {
		if _, err := io.ReadFull(c, head[:]); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
				return nil
			}
			return err
		}
		if binary.BigEndian.Uint32(head[:]) != nbdRequest {
			return errors.New("NBD: a request without its magic number")
		}
		if stop, err := d.answer(c, head[:]); stop || err != nil {
			return err
		}
	}
}

// answer does one request.
func (d *Disk) answer(c io.ReadWriter, head []byte) (stop bool, err error) {
	off, size := binary.BigEndian.Uint64(head[16:]), binary.BigEndian.Uint32(head[24:])
	reply := binary.BigEndian.AppendUint32(nil, nbdReply)
	reply = append(reply, 0, 0, 0, 0)
	reply = append(reply, head[8:16]...)
	if size > maxRequest {
		return true, fmt.Errorf("NBD: a request for %d bytes", size)
	}
	outside := off > uint64(d.size) || uint64(size) > uint64(d.size)-off //nolint:gosec // a size is not negative
	b := make([]byte, size)
	switch kind := binary.BigEndian.Uint16(head[6:]); {
	case kind == 2:
		return true, nil
	case kind == 3:
	case kind == 0 && !outside:
		if _, err = d.ReadAt(b, int64(off)); err == nil { //nolint:gosec // within the disk
			reply = append(reply, b...)
		}
	case kind == 1:
		if _, err = io.ReadFull(c, b); err != nil {
			return true, err
		}
		if outside {
			err = errors.New("outside")
		} else {
			_, err = d.WriteAt(b, int64(off)) //nolint:gosec // within the disk
		}
	default:
		err = errors.New("not understood")
	}
	if err != nil {
		reply[7] = 22 // EINVAL
	}
	_, err = c.Write(reply)
	return false, err
}

// negotiate agrees on the one export, in the newstyle.
func (d *Disk) negotiate(c io.ReadWriter) error {
	hello := binary.BigEndian.AppendUint64(nil, nbdMagic)
	hello = binary.BigEndian.AppendUint64(hello, nbdOption)
	hello = append(hello, 0, 3) // fixed newstyle, no zeroes
	if _, err := c.Write(hello); err != nil {
		return err
	}
	var flags [4]byte
	if _, err := io.ReadFull(c, flags[:]); err != nil {
		return err
	}
	for range nbdMaxOptions {
		if ready, err := d.option(c); ready || err != nil {
			return err
		}
	}
	return errors.New("NBD: too many options")
}

func (d *Disk) option(c io.ReadWriter) (ready bool, err error) {
	var head [16]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return false, err
	}
	kind, size := binary.BigEndian.Uint32(head[8:]), binary.BigEndian.Uint32(head[12:])
	if binary.BigEndian.Uint64(head[:]) != nbdOption || size > page {
		return false, errors.New("NBD: not an option")
	}
	if _, err := io.CopyN(io.Discard, c, int64(size)); err != nil {
		return false, err
	}
	export := binary.BigEndian.AppendUint64(nil, uint64(d.size)) //nolint:gosec // a size is not negative
	export = append(export, 0, nbdFlags)
	switch kind {
	case nbdExportName:
		_, err = c.Write(export)
		return true, err
	case nbdGo, nbdInfo:
		err = errors.Join(optionReply(c, kind, 3, append([]byte{0, 0}, export...)), optionReply(c, kind, 1, nil))
		return kind == nbdGo, err
	case nbdAbort:
		return false, errors.Join(optionReply(c, kind, 1, nil), errors.New("NBD: the client gave up"))
	}
	return false, optionReply(c, kind, 1<<31|1, nil) // not supported
}

func optionReply(c io.Writer, option, kind uint32, data []byte) error {
	b := binary.BigEndian.AppendUint64(nil, nbdReplyOption)
	b = binary.BigEndian.AppendUint32(b, option)
	b = binary.BigEndian.AppendUint32(b, kind)
	b = binary.BigEndian.AppendUint32(b, uint32(len(data))) //nolint:gosec // a few bytes
	_, err := c.Write(append(b, data...))
	return err
}

package measuredboot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// compared is how much of two disks is compared at once, in bytes.
const compared = 1 << 20

// SameAs is nil when the disk in one file is, byte for byte, that in another, as
// two builds of one state are. Else it names each partition that differs, the
// first byte that does, counted from the partition's start, and how many do.
func (d *Disk) SameAs(ctx context.Context, one, other *os.File) error {
	var sizes [2]int64
	for i, f := range []*os.File{one, other} {
		var err error
		if sizes[i], err = f.Seek(0, io.SeekEnd); err != nil { // a block device tells its size in no other way
			return &fault.Error{Code: fault.Usage, Message: "cannot read the disk", Err: err}
		}
	}
	if sizes[0] != sizes[1] {
		return fault.Mismatch("two builds make disks of two sizes", fmt.Sprintf("%d bytes", sizes[0]),
			fmt.Sprintf("%d bytes", sizes[1]))
	}
	var found []string
	for _, r := range d.regions(sizes[0]) {
		first, count, err := differences(ctx, one, other, r.Extent)
		if err != nil {
			return &fault.Error{Code: fault.General, Message: "cannot compare the disks", Err: err}
		}
		if count > 0 {
			found = append(found, fmt.Sprintf("%s: %d bytes, the first at offset %d", r.name, count, first-r.Start))
		}
	}
	if found == nil {
		return nil
	}
	return fault.Mismatch("two builds make two disks", "the same bytes", strings.Join(found, "; "))
}

// region is a part of a disk that has a name.
type region struct {
	name string
	Extent
}

// regions are all parts of a disk, in order.
func (d *Disk) regions(size int64) []region {
	out := []region{{"the partition table", Extent{0, d.parts[0].Start}}}
	for i, k := range kinds() {
		out = append(out, region{"partition " + k.name, d.parts[i]})
		next := size
		if i+1 < len(d.parts) {
			next = d.parts[i+1].Start
		}
		out = append(out, region{"behind partition " + k.name, Extent{d.parts[i].End, next}})
	}
	return out
}

// differences are the first byte that differs within an extent, and how many do.
func differences(ctx context.Context, one, other io.ReaderAt, e Extent) (first, count int64, err error) {
	a, b := make([]byte, compared), make([]byte, compared)
	for at := e.Start; at < e.End; at += compared {
		n := min(compared, e.End-at)
		_, err := one.ReadAt(a[:n], at)
		_, errOther := other.ReadAt(b[:n], at)
		if err := errors.Join(err, errOther, ctx.Err()); err != nil {
			return 0, 0, err
		}
		if bytes.Equal(a[:n], b[:n]) {
			continue
		}
		for i := range n {
			if a[i] == b[i] {
				continue
			}
			if count == 0 {
				first = at + i
			}
			count++
		}
	}
	return first, count, nil
}

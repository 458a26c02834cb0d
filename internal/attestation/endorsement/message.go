package endorsement

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
)

// message is a VMLaunchEndorsement, field by field (google/gce-tcb-verifier,
// proto/endorsement.proto). It is decoded by hand: the generated code takes a
// field that comes twice and keeps the last, and what it does not know.
type message struct {
	golden    []byte // what is signed: a VMGoldenMeasurement
	signature []byte

	signed       time.Time
	changelist   uint64
	commit       []byte
	cert, bundle []byte
	firmware     []byte
	svn          uint64
	mrtds        []tdx.Register
}

// parse reads a message whole. Nobody has signed the outer one, so a field that
// it is not known to have is refused; in the inner one Google may say more.
func parse(data []byte) (*message, error) {
	m := &message{}
	err := walk(data, map[protowire.Number]reader{1: once(bytesInto(&m.golden)), 2: once(bytesInto(&m.signature))},
		func(n protowire.Number) error { return fmt.Errorf("field %d is not one of an endorsement", n) })
	if err != nil {
		return nil, err
	}
	if m.golden == nil || m.signature == nil {
		return nil, errors.New("it lacks a statement or a signature")
	}
	err = walk(m.golden, map[protowire.Number]reader{
		1: once(m.readTime), 2: once(numberInto(&m.changelist)), 3: once(bytesInto(&m.commit)),
		4: once(bytesInto(&m.cert)), 5: once(bytesInto(&m.firmware)), 6: once(bytesInto(&m.bundle)),
		8: once(m.readTDX)}, ignore)
	if err != nil {
		return nil, fmt.Errorf("its statement: %w", err)
	}
	if m.signed.IsZero() {
		return nil, errors.New("its statement has no time")
	}
	return m, nil
}

// readTime reads a google.protobuf.Timestamp.
func (m *message) readTime(f field) error {
	var seconds, nanos uint64
	err := inside(f, map[protowire.Number]reader{1: once(numberInto(&seconds)), 2: once(numberInto(&nanos))})
	if err != nil {
		return err
	}
	if seconds >= endOfTime || nanos >= uint64(time.Second) {
		return errors.New("the time is out of range")
	}
	m.signed = time.Unix(int64(seconds), int64(nanos))
	return nil
}

// endOfTime is the year 10000, where a Timestamp ends.
const endOfTime = 253402300800

func (m *message) readTDX(f field) error {
	return inside(f, map[protowire.Number]reader{1: once(numberInto(&m.svn)), 2: m.readMeasurement})
}

func (m *message) readMeasurement(f field) error {
	var mrtd []byte
	if err := inside(f, map[protowire.Number]reader{3: once(bytesInto(&mrtd))}); err != nil {
		return err
	}
	if len(mrtd) != tdx.RegisterSize {
		return fmt.Errorf("an MRTD of %d bytes, not %d", len(mrtd), tdx.RegisterSize)
	}
	m.mrtds = append(m.mrtds, tdx.Register(mrtd))
	return nil
}

// field is a value as it came: a number, or bytes.
type field struct {
	kind   protowire.Type
	number uint64
	bytes  []byte
}

type reader func(field) error

// walk reads a message field by field; unknown judges those that no reader takes.
func walk(data []byte, readers map[protowire.Number]reader, unknown func(protowire.Number) error) error {
	for len(data) > 0 {
		n, kind, size := protowire.ConsumeTag(data)
		if size < 0 {
			return fmt.Errorf("%d bytes that are no field: %w", len(data), protowire.ParseError(size))
		}
		data = data[size:]
		f := field{kind: kind}
		switch kind {
		case protowire.VarintType:
			f.number, size = protowire.ConsumeVarint(data)
		case protowire.BytesType:
			f.bytes, size = protowire.ConsumeBytes(data)
		default:
			size = protowire.ConsumeFieldValue(n, kind, data)
		}
		if size < 0 {
			return fmt.Errorf("field %d is cut short, or of no known kind: %w", n, protowire.ParseError(size))
		}
		data = data[size:]
		read, ok := readers[n]
		if !ok {
			if err := unknown(n); err != nil {
				return err
			}
			continue
		}
		if err := read(f); err != nil {
			return fmt.Errorf("field %d: %w", n, err)
		}
	}
	return nil
}

// ignore is how protobuf treats fields of later versions.
func ignore(protowire.Number) error { return nil }

// inside reads a message that is a field of another.
func inside(f field, readers map[protowire.Number]reader) error {
	if f.kind != protowire.BytesType {
		return errors.New("not a message")
	}
	return walk(f.bytes, readers, ignore)
}

// once refuses a field that comes again: readers differ in which of the two counts.
func once(read reader) reader {
	seen := false
	return func(f field) error {
		if seen {
			return errors.New("it comes twice")
		}
		seen = true
		return read(f)
	}
}

func bytesInto(to *[]byte) reader {
	return func(f field) error {
		if f.kind != protowire.BytesType {
			return errors.New("not bytes")
		}
		*to = f.bytes
		return nil
	}
}

func numberInto(to *uint64) reader {
	return func(f field) error {
		if f.kind != protowire.VarintType {
			return errors.New("not a number")
		}
		*to = f.number
		return nil
	}
}

package tdx

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/go-tdx-guest/abi"
	pb "github.com/google/go-tdx-guest/proto/tdx"
)

// MaxQuoteSize bounds a quote in bytes. Real ones have about 5,000; GCP pads to 8,000.
const MaxQuoteSize = 16 << 10

// tdUnderDebug are the TUD bits of TD_ATTRIBUTES. Intel's DCAP quoting library:
// "If any of the bits in this group are set to 1, the TD is untrusted."
const tdUnderDebug = 0xff

// tdMigratable is the bit of TD_ATTRIBUTES that lets a migration TD, which the host names, carry the TD's memory away
// (Intel TDX Module ABI, ATTRIBUTES). Which one was named is not in a quote of version 4.
const tdMigratable = 1 << 29

// Quote is what a TD quote of version 4 or 5 states.
type Quote struct {
	Version              int
	Registers            Registers
	ReportData           [64]byte
	TDAttributes, XFAM   uint64
	TEETCBSVN            [16]byte
	MRSEAM, MRSIGNERSEAM Register
	SEAMAttributes       [8]byte
}

// Debug says that the TD's memory is open to its host.
func (q *Quote) Debug() bool { return q.TDAttributes&tdUnderDebug != 0 }

// Migratable says that the TD's memory may be moved to where the host wants it.
func (q *Quote) Migratable() bool { return q.TDAttributes&tdMigratable != 0 }

// ParseQuote reads a quote without verifying anything: the result is a claim.
func ParseQuote(raw []byte) (*Quote, error) {
	e, err := parseEvidence(raw)
	if err != nil {
		return nil, err
	}
	return &e.quote, nil
}

// evidence is one parsed quote with the parts that only verification needs.
type evidence struct {
	quote    Quote
	proto    any // *pb.QuoteV4 or *pb.QuoteV5
	qeReport *pb.EnclaveReport
}

// parseEvidence contains the panics of abi.QuoteToProto, which slices by
// lengths from the input before it has checked them.
func parseEvidence(raw []byte) (e *evidence, err error) {
	defer func() {
		if r := recover(); r != nil {
			e, err = nil, fmt.Errorf("malformed quote: %v", r)
		}
	}()
	if len(raw) > MaxQuoteSize {
		return nil, fmt.Errorf("quote of %d bytes is larger than %d", len(raw), MaxQuoteSize)
	}
	proto, err := abi.QuoteToProto(raw)
	if err != nil {
		return nil, fmt.Errorf("malformed quote: %w", err)
	}
	return newEvidence(proto)
}

func newEvidence(proto any) (*evidence, error) {
	var body *pb.TDQuoteBody
	var auth *pb.Ecdsa256BitQuoteV4AuthData
	var padding []byte
	e := &evidence{proto: proto}
	switch q := proto.(type) {
	case *pb.QuoteV4:
		e.quote.Version, body = 4, q.GetTdQuoteBody()
		auth, padding = q.GetSignedData(), q.GetExtraBytes()
	case *pb.QuoteV5:
		e.quote.Version, body = 5, common(q.GetTdQuoteBodyDescriptor().GetTdQuoteBodyV5())
		auth, padding = q.GetSignedData(), q.GetExtraBytes()
	default:
		return nil, fmt.Errorf("quote type %T is unknown", proto)
	}
	if len(bytes.Trim(padding, "\x00")) != 0 {
		return nil, errors.New("malformed quote: bytes other than zero padding after its end")
	}
	e.quote.read(body)
	e.qeReport = auth.GetCertificationData().GetQeReportCertificationData().GetQeReport()
	return e, nil
}

// common is the part of a version 5 body that version 4 has too.
func common(b *pb.TDQuoteBodyV5) *pb.TDQuoteBody {
	return &pb.TDQuoteBody{
		TeeTcbSvn: b.GetTeeTcbSvn(), MrSeam: b.GetMrSeam(), MrSignerSeam: b.GetMrSignerSeam(),
		SeamAttributes: b.GetSeamAttributes(), TdAttributes: b.GetTdAttributes(), Xfam: b.GetXfam(),
		MrTd: b.GetMrTd(), Rtmrs: b.GetRtmrs(), ReportData: b.GetReportData(),
	}
}

// read copies the fields, whose sizes abi.QuoteToProto has checked.
func (q *Quote) read(b *pb.TDQuoteBody) {
	q.Registers = Registers{
		MRTD:  Register(b.GetMrTd()),
		RTMR0: Register(b.GetRtmrs()[0]), RTMR1: Register(b.GetRtmrs()[1]),
		RTMR2: Register(b.GetRtmrs()[2]), RTMR3: Register(b.GetRtmrs()[3]),
	}
	q.ReportData = [64]byte(b.GetReportData())
	q.TDAttributes = binary.LittleEndian.Uint64(b.GetTdAttributes())
	q.XFAM = binary.LittleEndian.Uint64(b.GetXfam())
	q.TEETCBSVN = [16]byte(b.GetTeeTcbSvn())
	q.MRSEAM, q.MRSIGNERSEAM = Register(b.GetMrSeam()), Register(b.GetMrSignerSeam())
	q.SEAMAttributes = [8]byte(b.GetSeamAttributes())
}

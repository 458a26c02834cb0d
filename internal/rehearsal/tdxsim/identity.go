package tdxsim

import "encoding/asn1"

// oidSGX is Intel's extension of a PCK certificate.
var oidSGX = asn1.ObjectIdentifier{1, 2, 840, 113741, 1, 13, 1}

// identity is what a PCK certificate says about a machine.
type identity struct {
	fmspc  [6]byte
	pceSVN int
	svn    [16]byte // SGX TCB components, and CPUSVN
}

// newIdentity gives machine n a family whose hex has a letter (4d), so that
// upper and lower case differ.
func newIdentity(n uint8) identity {
	id := identity{fmspc: [6]byte{'S', 'I', 'M', 0, 0, n}, pceSVN: 13}
	for i := range id.svn {
		id.svn[i] = byte(20 - i)
	}
	return id
}

type attribute struct {
	Type  asn1.ObjectIdentifier
	Value any
}

func under(arc ...int) asn1.ObjectIdentifier {
	return append(append(asn1.ObjectIdentifier{}, oidSGX...), arc...)
}

// extension is the value of oidSGX: PPID, TCB, PCEID, FMSPC, type, platform
// instance and configuration, as "Intel SGX PCK Certificate and CRL Profile" orders them.
func (id identity) extension() ([]byte, error) {
	var tcb []attribute
	for i, svn := range id.svn {
		tcb = append(tcb, attribute{under(2, i+1), int(svn)})
	}
	tcb = append(tcb, attribute{under(2, 17), id.pceSVN}, attribute{under(2, 18), id.svn[:]})
	const scalable = asn1.Enumerated(1)
	configuration := []attribute{{under(7, 1), true}, {under(7, 2), true}, {under(7, 3), true}}
	return asn1.Marshal([]attribute{
		{under(1), make([]byte, 16)},
		{under(2), tcb},
		{under(3), make([]byte, 2)},
		{under(4), id.fmspc[:]},
		{under(5), scalable},
		{under(6), make([]byte, 16)},
		{under(7), configuration},
	})
}

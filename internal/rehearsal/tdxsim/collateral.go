package tdxsim

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
)

const (
	stamp    = "2006-01-02T15:04:05Z"
	anyBit   = "FFFFFFFFFFFFFFFF"
	noBit    = "0000000000000000"
	levelDay = "2025-01-01T00:00:00Z"
)

// tcbInfo is of the platform's family and has two levels: its own with the status of the set, and one
// far below. Where the set has no level for the platform, both are out of its reach.
func (m *Platform) tcbInfo(set Set, issued, next time.Time) ([]byte, error) {
	svn, own, low := int(m.module.TEETCBSVN[0]), m.id.pceSVN, 0
	moduleSVN := svn
	switch set.NoLevel {
	case "platform":
		own, low = own+1, own+1
	case "module":
		moduleSVN++
	}
	module := moduleIdentity{Signer: m.module.MRSIGNER.String(), Attributes: noBit, Mask: anyBit}
	named := module
	named.ID = fmt.Sprintf("TDX_%02x", m.module.TEETCBSVN[1])
	named.Levels = []level{newLevel(tcb{ISVSVN: &moduleSVN}, set.Module, "INTEL-SA-00002")}
	return m.pki.signed("tcbInfo", tcbInfo{
		statement: statement{"TDX", 3, issued.Format(stamp), next.Format(stamp)},
		FMSPC:     strings.ToUpper(m.FMSPC()), PCEID: "0000", EvaluationNumber: set.EvaluationNumber,
		Module: module, Modules: []moduleIdentity{named},
		Levels: []level{
			newLevel(tcb{SGX: components(m.id.svn), PCESVN: &own, TDX: components(m.platformSVN())}, set.Platform,
				"INTEL-SA-00001"),
			newLevel(tcb{SGX: components([16]byte{}), PCESVN: &low, TDX: components([16]byte{})}, tdx.OutOfDate,
				"INTEL-SA-00001"),
		},
	})
}

// platformSVN is the part of TEE_TCB_SVN that belongs to the platform's level:
// since TDX 1.5 the first two belong to the module's identity.
func (m *Platform) platformSVN() [16]byte {
	svn := m.module.TEETCBSVN
	if svn[1] > 0 {
		svn[0], svn[1] = 0, 0
	}
	return svn
}

func (p *PKI) qeIdentity(set Set, issued, next time.Time) ([]byte, error) {
	svn := qeSVN
	if set.NoLevel == "enclave" {
		svn++
	}
	return p.signed("enclaveIdentity", enclaveIdentity{
		statement:        statement{"TD_QE", 2, issued.Format(stamp), next.Format(stamp)},
		EvaluationNumber: set.EvaluationNumber,
		MiscSelect:       "00000000", MiscSelectMask: "FFFFFFFF",
		Attributes: "11" + strings.Repeat("0", 30), AttributesMask: "FB" + strings.Repeat("F", 14) + noBit,
		Signer: hex.EncodeToString(qeSigner[:]), ProductID: qeProductID,
		Levels: []level{newLevel(tcb{ISVSVN: &svn}, set.QE, "INTEL-SA-00003")},
	})
}

// newLevel names the advisory, a made-up one, unless all is well.
func newLevel(t tcb, s tdx.Status, advisory string) level {
	l := level{TCB: t, Date: levelDay, Status: s}
	if s != tdx.UpToDate {
		l.Advisories = []string{advisory}
	}
	return l
}

func components(svn [16]byte) []component {
	out := make([]component, len(svn))
	for i, v := range svn {
		out[i].SVN = int(v)
	}
	return out
}

// signed wraps a statement as {name: …, "signature": …} over its raw bytes.
func (p *PKI) signed(name string, v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	signature, err := sign(p.tcb.key, body)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, `{%q:%s,"signature":"%x"}`, name, body, signature), nil
}

// The documents of version 4 of the service's interface, field by field in its order.

type component struct {
	SVN int `json:"svn"`
}

type tcb struct {
	SGX    []component `json:"sgxtcbcomponents,omitempty"`
	PCESVN *int        `json:"pcesvn,omitempty"`
	TDX    []component `json:"tdxtcbcomponents,omitempty"`
	ISVSVN *int        `json:"isvsvn,omitempty"`
}

type level struct {
	TCB        tcb        `json:"tcb"`
	Date       string     `json:"tcbDate"`
	Status     tdx.Status `json:"tcbStatus"`
	Advisories []string   `json:"advisoryIDs,omitempty"`
}

type moduleIdentity struct {
	ID         string  `json:"id,omitempty"`
	Signer     string  `json:"mrsigner"`
	Attributes string  `json:"attributes"`
	Mask       string  `json:"attributesMask"`
	Levels     []level `json:"tcbLevels,omitempty"`
}

// statement is what TCB info and QE identity begin with.
type statement struct {
	ID         string `json:"id"`
	Version    int    `json:"version"`
	IssueDate  string `json:"issueDate"`
	NextUpdate string `json:"nextUpdate"`
}

type tcbInfo struct {
	statement
	FMSPC            string           `json:"fmspc"`
	PCEID            string           `json:"pceId"`
	Type             int              `json:"tcbType"`
	EvaluationNumber int              `json:"tcbEvaluationDataNumber"`
	Module           moduleIdentity   `json:"tdxModule"`
	Modules          []moduleIdentity `json:"tdxModuleIdentities"`
	Levels           []level          `json:"tcbLevels"`
}

type enclaveIdentity struct {
	statement
	EvaluationNumber int     `json:"tcbEvaluationDataNumber"`
	MiscSelect       string  `json:"miscselect"`
	MiscSelectMask   string  `json:"miscselectMask"`
	Attributes       string  `json:"attributes"`
	AttributesMask   string  `json:"attributesMask"`
	Signer           string  `json:"mrsigner"`
	ProductID        int     `json:"isvprodid"`
	Levels           []level `json:"tcbLevels"`
}

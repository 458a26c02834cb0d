package tdxsim

import "github.com/calimero-network/mero-tee/internal/attestation/tdx"

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

package tdx

import (
	"context"
	"crypto/subtle"
	"fmt"
	"strconv"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// Verdict is what a verified quote states, and what Intel's collateral says
// about the platform that made it. Whether that is good enough is a policy's business.
type Verdict struct {
	Quote
	FMSPC                     string // 12 hex digits: the platform family
	Platform, Module, QE, TCB Status // TCB merges the other three; Module is empty before TDX 1.5
	Advisories                []string
	EvaluationNumber          int // the smaller tcbEvaluationDataNumber of TCB info and QE identity
	Root                      [32]byte
}

// Config is what a Verifier trusts.
type Config struct {
	Root                [32]byte // SHA-256 of the DER of the one trusted root certificate
	Collateral          CollateralSource
	Now                 func() time.Time // nil means time.Now
	MinEvaluationNumber int
}

// Verifier decides about quotes; it is safe for concurrent use.
type Verifier struct {
	config   Config
	accepted accepted
}

// NewVerifier refuses a configuration that would trust nothing or anything (exit code 2).
func NewVerifier(c Config) (*Verifier, error) {
	if c.Root == ([32]byte{}) {
		return nil, &fault.Error{Code: fault.Usage, Message: "no trusted TDX root", Expected: "the SHA-256 of a root certificate", Got: "zeros"}
	}
	if c.Collateral == nil {
		return nil, &fault.Error{Code: fault.Usage, Message: "no source of TDX collateral"}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Verifier{config: c}, nil
}

// Verify takes the whole decision about one quote but the policy's. It returns
// a *NotGenuine, ErrReportData or a *Violation, and a verdict only without error.
func (v *Verifier) Verify(ctx context.Context, raw []byte, reportData [64]byte) (verdict *Verdict, err error) {
	defer func() {
		if r := recover(); r != nil {
			verdict, err = nil, &NotGenuine{fmt.Errorf("malformed evidence: %v", r)}
		}
	}()
	e, err := parseEvidence(raw)
	if err != nil {
		return nil, &NotGenuine{err}
	}
	verdict, err = v.genuine(ctx, e)
	if err != nil {
		return nil, &NotGenuine{err}
	}
	if subtle.ConstantTimeCompare(verdict.ReportData[:], reportData[:]) != 1 {
		return nil, ErrReportData
	}
	if err := v.admissible(verdict); err != nil {
		return nil, err
	}
	return verdict, nil
}

// admissible holds what no policy can allow.
func (v *Verifier) admissible(d *Verdict) error {
	switch {
	case d.Debug():
		return &Violation{"td_attributes.debug", "clear", "set"}
	case d.EvaluationNumber < v.config.MinEvaluationNumber:
		return &Violation{"tcb_evaluation_data_number", "at least " + strconv.Itoa(v.config.MinEvaluationNumber), strconv.Itoa(d.EvaluationNumber)}
	case d.TCB.Compare(Revoked) >= 0:
		return &Violation{"tcb_status", "anything but " + string(Revoked), string(d.TCB)}
	}
	return nil
}

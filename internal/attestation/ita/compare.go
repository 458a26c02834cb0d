package ita

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// ErrIncomparable says that Intel Trust Authority and Intel's PCS judged the
// quote by different collateral, so that nothing follows from a difference of
// their TCB statuses, nor from their being equal.
var ErrIncomparable = errors.New("the two TCB statuses cannot be compared")

// compare holds the appraisal against our verdict. The TCB statuses are compared
// at one tcbEvaluationDataNumber: the PCS gives its standard update unless it is
// asked for the early one, and the Trust Authority applies a TCB recovery at once.
func (c *Client) compare(ctx context.Context, quote []byte, ours *tdx.Verdict, said *tdxClaims) error {
	if err := said.agree(ours); err != nil {
		return err
	}
	if said.TCBStatus == string(tdx.Revoked) {
		return mismatch("the platform is revoked", "any other attester_tcb_status", said.TCBStatus)
	}
	theirs := int(said.Collateral.Number)
	if theirs == ours.EvaluationNumber {
		return equal(ours, said.TCBStatus)
	}
	early, err := c.verifier.At(tdx.Early).Verify(ctx, quote, ours.ReportData)
	switch {
	case errors.As(err, new(*tdx.Violation)):
		return failed("our own verdict by Intel's early collateral", err)
	case err != nil:
		return incomparable(theirs, fmt.Sprintf("%d (standard); early: %v", ours.EvaluationNumber, err))
	case early.EvaluationNumber != theirs:
		return incomparable(theirs, fmt.Sprintf("%d (standard), %d (early)", ours.EvaluationNumber, early.EvaluationNumber))
	}
	return equal(early, said.TCBStatus)
}

// equal demands the same status at the same number.
func equal(ours *tdx.Verdict, theirs string) error {
	if string(ours.TCB) == theirs {
		return nil
	}
	return mismatch(fmt.Sprintf("the appraisal is not our verdict of the quote, both at evaluation number %d",
		ours.EvaluationNumber), "attester_tcb_status "+string(ours.TCB), fmt.Sprintf("attester_tcb_status %.130s", theirs))
}

func incomparable(theirs int, ours string) error {
	said := strconv.Itoa(theirs)
	if theirs == 0 {
		said = "none"
	}
	return &fault.Error{Code: fault.General, Message: "Intel Trust Authority", Err: ErrIncomparable,
		Expected: "evaluation number " + said, Got: "evaluation number " + ours,
		Hint: "Intel's two services follow a TCB recovery at different times; run the step again later"}
}

// number is a JSON number, or its digits as a string.
type number int

// UnmarshalJSON takes both forms.
func (n *number) UnmarshalJSON(data []byte) error {
	value, err := strconv.Atoi(strings.Trim(string(data), `"`))
	if err != nil || value < 0 {
		return fmt.Errorf("an evaluation number is %.40q", data)
	}
	*n = number(value)
	return nil
}

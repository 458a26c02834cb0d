package tdx

import (
	"errors"
	"fmt"
)

// ErrReportData says that a genuine quote does not answer this challenge.
var ErrReportData = errors.New("report data is not that of this challenge")

// ErrCollateral says that Intel's service gave no answer, so nothing could be
// decided about the quote. It is found inside a NotGenuine.
var ErrCollateral = errors.New("collateral is unavailable")

// NotGenuine says that a quote is not proven to come from a TD on a platform
// under the pinned root (a key service answers 401).
type NotGenuine struct{ Err error }

func (e *NotGenuine) Error() string { return "quote is not genuine: " + e.Err.Error() }

// Unwrap gives errors.Is and errors.As the reason.
func (e *NotGenuine) Unwrap() error { return e.Err }

// Violation says that a genuine quote states something that is never allowed
// (a key service answers 403).
type Violation struct{ Field, Want, Got string }

func (e *Violation) Error() string {
	return fmt.Sprintf("%s is %s, not %s", e.Field, e.Got, e.Want)
}

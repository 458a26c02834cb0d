// Package check is the result of looking at something: pass, fail, skipped
// with a reason, or not applicable.
//
// Its promise: nothing but an explicit pass counts as one. A result without a
// status, an empty list of results and, in a stable release, a skipped check
// are failures.
package check

import (
	"errors"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// Status is one of the four outcomes of a check.
type Status string

// "A check has four results"; the zero value is a failure.
const (
	Passed       Status = "pass"
	Failed       Status = "fail"
	Skipped      Status = "skipped"
	Inapplicable Status = "not applicable"
)

// Result is what one check found. As JSON it is kept beside what was judged.
type Result struct {
	Name     string `json:"name"`
	Status   Status `json:"result"`
	Expected string `json:"expected,omitempty"` // of a failure
	Got      string `json:"got,omitempty"`      // of a failure
	// one line: why it failed, was skipped or does not apply; what a pass does not hide
	Reason string     `json:"reason,omitempty"`
	Hint   string     `json:"hint,omitempty"` // the next thing to try
	Code   fault.Code `json:"code,omitempty"`
}

// Pass is a check that found what it expected.
func Pass(name string) Result { return Result{Name: name, Status: Passed} }

// Fail is a check that did not, with the exit code that this deserves.
func Fail(name string, code fault.Code, reason, expected, got string) Result {
	return Result{Name: name, Status: Failed, Code: code, Reason: reason, Expected: expected, Got: got}
}

// Skip is a check that could have been made and was not.
func Skip(name, reason string) Result { return Result{Name: name, Status: Skipped, Reason: reason} }

// Unseen is a check that could not be made here: neither good nor bad, with the way to make it.
func Unseen(name, reason, hint string) Result {
	return Result{Name: name, Status: Skipped, Reason: "could not look: " + reason, Hint: hint, Code: fault.General}
}

// NotApplicable is a check that has no object.
func NotApplicable(name, reason string) Result {
	return Result{Name: name, Status: Inapplicable, Reason: reason}
}

// Of is the result that an error stands for: nil is a pass, anything else a
// failure with the error's code, Expected, Got and Hint.
func Of(name string, err error) Result {
	if err == nil {
		return Pass(name)
	}
	r := Fail(name, fault.CodeOf(err), err.Error(), "", "")
	var f *fault.Error
	if errors.As(err, &f) {
		r.Expected, r.Got, r.Hint = f.Expected, f.Got, f.Hint
	}
	return r
}

// WithHint returns the result with another hint.
func (r Result) WithHint(hint string) Result {
	r.Hint = hint
	return r
}

// Noting returns the result with something that the reader of a pass should know.
func (r Result) Noting(reason string) Result {
	r.Reason = reason
	return r
}

// OK says that the result stands in nobody's way.
func (r Result) OK() bool {
	return r.Status == Passed || r.Status == Inapplicable || r.Status == Skipped
}

// Err is nil unless the check failed; then it is a *fault.Error.
func (r Result) Err() error {
	if r.OK() {
		return nil
	}
	code := r.Code
	if code == fault.Success {
		code = fault.Verification
	}
	message := r.Name
	if r.Reason != "" {
		message += ": " + r.Reason
	}
	return &fault.Error{Code: code, Message: message, Expected: r.Expected, Got: r.Got, Hint: r.Hint}
}

// Package fault is the one error shape of the release pipeline: a code a
// script can branch on, what was expected, what was found, and what to do next.
//
// Its promise: every error that reaches a person carries one of the spec's
// exit codes, and wrapping never loses it.
package fault

import (
	"errors"
	"strings"
)

// Code is one of the spec's exit codes ("Scripts exit with meaningful codes").
type Code int

// The exit codes of the spec's logging conventions.
const (
	Success      Code = 0
	General      Code = 1
	Usage        Code = 2
	Verification Code = 10
	MissingAsset Code = 11
)

// Meaning is what the spec says of the code.
func (c Code) Meaning() string {
	switch c {
	case Success:
		return "success"
	case Usage:
		return "usage error"
	case Verification:
		return "verification failure"
	case MissingAsset:
		return "missing required asset"
	case General:
	}
	return "general error"
}

// Error is what a step, a guard or a check reports when it says no.
type Error struct {
	Code     Code
	Step     string // the step or command that speaks, e.g. "kms:sbom"; empty until known
	Message  string // lower case, no full stop, without "failed to"
	Expected string // optional, printed as its own line
	Got      string // optional, printed as its own line
	Hint     string // optional: the next thing to try
	Err      error  // optional cause
}

// Mismatch is the refusal of what was compared and is not as it must be.
func Mismatch(message, expected, got string) *Error {
	return &Error{Code: Verification, Message: message, Expected: expected, Got: got}
}

// Error renders the message and its cause on one line.
func (e *Error) Error() string {
	parts := make([]string, 0, 3)
	for _, p := range []string{e.Step, e.Message} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	return strings.Join(parts, ": ")
}

// Unwrap gives errors.Is and errors.As the cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of the outermost Error in err, General for any
// other error, Success for nil.
func CodeOf(err error) Code {
	if err == nil {
		return Success
	}
	var f *Error
	if errors.As(err, &f) {
		return f.Code
	}
	return General
}

// At names the step that err belongs to. An Error that already has a step, and
// nil, are returned unchanged.
func At(step string, err error) error {
	if err == nil {
		return nil
	}
	var f *Error
	if !errors.As(err, &f) {
		return &Error{Code: General, Step: step, Err: err}
	}
	if f.Step != "" {
		return err
	}
	if direct, ok := err.(*Error); ok { //nolint:errorlint // what wraps it keeps its own words
		named := *direct
		named.Step = step
		return &named
	}
	return &Error{Code: f.Code, Step: step, Err: err, Hint: f.Hint, Expected: f.Expected, Got: f.Got}
}

package agent

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// VisitResult is how a visit went. No key is in it: the node compared them, and
// of a test's key says a digest.
type VisitResult struct {
	Name         string         `json:"name"` // "mero-client-config" for the operator's
	URL          string         `json:"url"`
	Verified     bool           `json:"verified"`
	TCB          string         `json:"tcb,omitempty"`
	Registers    *tdx.Registers `json:"registers,omitempty"`
	Nonce        []byte         `json:"nonce,omitempty"`         // that the service's quote answers
	TransportKey []byte         `json:"transport_key,omitempty"` // of the service; its quote holds it
	Quote        []byte         `json:"quote,omitempty"`         // of the service
	KeyReleased  bool           `json:"key_released"`
	KeySame      bool           `json:"key_same"`             // asked again: the same key; false when not asked
	KeyOwn       bool           `json:"key_own"`              // another peer got another key; false when not asked
	KeyDigest    []byte         `json:"key_digest,omitempty"` // see DigestKey; of a node with a test's identity
	Refusal      *Refused       `json:"refusal,omitempty"`
	Error        string         `json:"error,omitempty"`
	ExitCode     fault.Code     `json:"exit_code"`
}

// DigestKey is what a test compares instead of keys that a node got in two boots:
// of 32 random bytes, it tells nothing but whether they are the same.
func DigestKey(key []byte) []byte {
	sum := sha256.Sum256(append([]byte("mero-agent key digest v1\x00"), key...))
	return sum[:]
}

// Fail says in the result why the visit did not get to its end.
func (v *VisitResult) Fail(err error) {
	v.Error, v.ExitCode = describe(err), fault.CodeOf(err)
	var refused *Refused
	if errors.As(err, &refused) {
		v.Refusal = &Refused{Path: clean(refused.Path), Status: refused.Status, Tag: clean(refused.Tag),
			Details: clean(refused.Details)}
	}
}

// Err is the error that Fail described, nil when the visit got to its end. A
// refusal is in it as a *Refused.
func (v *VisitResult) Err() error {
	if v.Error == "" {
		return nil
	}
	if v.Refusal != nil {
		return &fault.Error{Code: v.ExitCode, Message: "the node's visit", Err: v.Refusal}
	}
	return &fault.Error{Code: v.ExitCode, Message: "the node's visit: " + v.Error}
}

// describe is err with what it expected, in the form that check accepts.
func describe(err error) string {
	text := err.Error()
	var f *fault.Error
	if errors.As(err, &f) && f.Expected+f.Got != "" {
		text += fmt.Sprintf(" (expected %s; got %s)", f.Expected, f.Got)
	}
	return clean(text)
}

// clean makes a text fit for a report: no control characters, not too long.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	return strings.ToValidUTF8(text[:min(len(text), maxText)], "")
}

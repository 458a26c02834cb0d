package propose

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/reason"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
	"github.com/calimero-network/mero-tee/policies/diff"
)

// Target says what to revoke: all measurements of a release, or those that
// have a register which begins like this. One of the two.
type Target struct {
	Tag    release.Tag
	Prefix string
}

// Eight digits are 32 bits: fewer would match by accident.
var prefixForm = regexp.MustCompile(`^[0-9a-f]{8,96}$`)

func (t Target) check() error {
	switch {
	case t.Tag.IsZero() == (t.Prefix == ""):
		return usage("what to revoke", "a tag or the beginning of a register, one of them",
			fmt.Sprintf("%q and %q", tagName(t.Tag), t.Prefix))
	case t.Prefix != "" && !prefixForm.MatchString(t.Prefix):
		return usage("not the beginning of a register", "8 to 96 lower-case hex digits", fmt.Sprintf("%q", t.Prefix))
	case !t.Tag.IsZero() && t.Tag.Family != release.Node:
		return usage("not a tag of the node image", "mero-tee-vX.Y.Z", t.Tag.String())
	}
	return nil
}

func tagName(t release.Tag) string {
	if t.IsZero() {
		return ""
	}
	return t.String()
}

func (t Target) String() string {
	if t.Prefix != "" {
		return t.Prefix
	}
	return t.Tag.String()
}

func (t Target) matches(node release.Tag, r tdx.Registers) bool {
	if t.Prefix == "" {
		return node == t.Tag
	}
	for _, v := range r.Values() {
		if strings.HasPrefix(v.String(), t.Prefix) {
			return true
		}
	}
	return false
}

// Revoke proposes to take measurements out for good, in every profile that has
// them. The reason stays in the policy, and is what a later promotion of the
// same measurements is refused with.
//
// The day, YYYY-MM-DD, is when it was revoked.
func Revoke(before Set, t Target, why, day string) (*Proposal, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	if err := reason.Check("a revocation", why); err != nil {
		return nil, err
	}
	found, emptied := 0, ""
	after, err := before.each(func(profile release.Profile, w *policies.Working) (*policies.Working, error) {
		out, gone, err := policies.Revoke(w, func(m policies.Measurement) bool {
			return t.matches(m.NodeRelease, m.Registers)
		}, why, day)
		found += len(gone) + revokedAlready(w, t)
		if len(gone) > 0 && len(out.Measurements) == 0 {
			emptied += fmt.Sprintf("\nNo measurement of %s is left: a stable KMS release needs a promoted one first.\n", profile)
		}
		return out, err
	})
	if err == nil && found == 0 {
		err = usage("no policy holds such a measurement", "a promoted release or the beginning of a register of one",
			t.String())
	}
	if err != nil {
		return nil, err
	}
	return &Proposal{Name: "revoke-" + t.String(), Title: "Revoke the measurements of " + t.String(),
			Label: RevocationLabel, Before: before, After: after,
			Grounds: "Takes measurements out of the policies for good.\n\n## Reason\n\n" + diff.Cell(why) + "\n" + emptied},
		nil
}

// RevokedOn is the day that an open proposal of the same revocation gives, so
// that running again another day changes nothing; today otherwise.
func RevokedOn(ctx context.Context, c *github.Client, t Target, today string) (string, error) {
	proposed, err := Load(ctx, c, branchOf("revoke-"+t.String()))
	if errors.Is(err, github.ErrNotFound) {
		return today, nil
	}
	for _, w := range proposed {
		for _, r := range w.Revoked {
			if t.matches(r.NodeRelease, r.Registers) && r.RevokedOn != "" {
				return r.RevokedOn, nil
			}
		}
	}
	return today, err
}

func revokedAlready(w *policies.Working, t Target) (n int) {
	for _, r := range w.Revoked {
		if t.matches(r.NodeRelease, r.Registers) {
			n++
		}
	}
	return n
}

func usage(message, expected, got string) error {
	return &fault.Error{Code: fault.Usage, Message: message, Expected: expected, Got: got}
}

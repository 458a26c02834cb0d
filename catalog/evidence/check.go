package evidence

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// What a record may hold; a release's test makes about 15 checks a profile.
const (
	maxChecks = 512 // in each list
	maxName   = 300 // characters
	maxReason = 2000
	maxText   = 500 // of other texts
)

var commitForm = regexp.MustCompile(`^[0-9a-f]{40}$`)

// Check says whether the record means something. Its errors have code Verification.
func (e *E2E) Check() error {
	if e.SchemaVersion != SchemaVersion {
		return fault.Mismatch("unknown schema_version", SchemaVersion, e.SchemaVersion)
	}
	for _, s := range []struct {
		name   string
		family release.Family
		side   Side
	}{{"kms", release.KMS, e.KMS}, {"node", release.Node, e.Node}} {
		if err := s.side.check(s.family); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	if e.Release != e.KMS.Release && e.Release != e.Node.Release {
		return fault.Mismatch("the test is of neither release", e.KMS.Release.String()+" or "+e.Node.Release.String(),
			e.Release.String())
	}
	if err := e.checkTexts(); err != nil {
		return err
	}
	if err := e.checkProfiles(); err != nil {
		return err
	}
	return checkChecks(e.Checks)
}

func (s Side) check(f release.Family) error {
	switch {
	case s.Release.Family != f || s.Release.Version == (release.Version{}):
		return fault.Mismatch("a release of another family", string(f), s.Release.String())
	case !commitForm.MatchString(s.Commit):
		return fault.Mismatch("commit is not one", "40 lower-case hex digits", fmt.Sprintf("%.60q", s.Commit))
	case s.Measurements.IsZero():
		return fault.Mismatch("measurements is missing", "the digest of "+release.MeasurementsAsset, "zero")
	}
	return nil
}

func (e *E2E) checkTexts() error {
	if at, err := time.Parse(time.RFC3339, e.At); err != nil || Stamp(at) != e.At {
		return fault.Mismatch("at is not a time", "RFC 3339, UTC, to the second", fmt.Sprintf("%.60q", e.At))
	}
	if u, err := url.Parse(e.Run); e.Run != "" && (err != nil || u.Scheme != "https" || u.Host == "" ||
		len(e.Run) > maxText || strings.ContainsFunc(e.Run, unicode.IsSpace)) {
		return fault.Mismatch("run is not an address", "https://…", fmt.Sprintf("%.60q", e.Run))
	}
	return checkLine("note", e.Note, maxText)
}

func (e *E2E) checkProfiles() error {
	if len(e.Profiles) == 0 {
		return fault.Mismatch("no profile was tested", "at least one", "none")
	}
	rest := release.Profiles()
	for _, p := range e.Profiles {
		at := slices.Index(rest, p.Profile)
		if at < 0 {
			return fault.Mismatch("profiles are unknown, repeated or out of order", fmt.Sprint(release.Profiles()),
				string(p.Profile))
		}
		rest = rest[at+1:]
		if err := p.check(); err != nil {
			return fmt.Errorf("%s: %w", p.Profile, err)
		}
	}
	return nil
}

func (p Profile) check() error {
	if p.KMS.ComposeHash.IsZero() || p.KMS.Policy.IsZero() {
		return fault.Mismatch("the key service's compose hash or policy is missing", "two digests", "zero")
	}
	if len(p.KMS.Reconfigured) > maxChecks {
		return fault.Mismatch("too many deployments", fmt.Sprintf("at most %d", maxChecks),
			fmt.Sprint(len(p.KMS.Reconfigured)))
	}
	for _, d := range p.KMS.Reconfigured {
		if d.Policy == "" || d.ComposeHash.IsZero() {
			return fault.Mismatch("a deployment is not described", "its policy in words and its compose hash",
				fmt.Sprintf("%.60q", d.Policy))
		}
		if err := checkLine("policy", d.Policy, maxText); err != nil {
			return err
		}
	}
	for _, m := range []Machine{p.KMS.Machine, p.Node} {
		if m.Image == "" || m.Digest.IsZero() {
			return fault.Mismatch("an image is not named", "its name and digest", fmt.Sprintf("%.60q", m.Image))
		}
		if err := checkLine("image", m.Image, maxText); err != nil {
			return err
		}
		if m.Seen != nil && m.Seen.MRTD.IsZero() {
			return fault.Mismatch("a machine was seen without an MRTD", "its registers, or none", m.Seen.MRTD.String())
		}
	}
	return checkChecks(p.Checks)
}

func checkChecks(list []Check) error {
	if list == nil || len(list) > maxChecks {
		return fault.Mismatch("a list of checks is missing or too long", fmt.Sprintf("at most %d", maxChecks),
			fmt.Sprint(len(list)))
	}
	for i, c := range list {
		known := []check.Status{check.Passed, check.Failed, check.Skipped, check.Inapplicable}
		if !slices.Contains(known, c.Result) {
			return fault.Mismatch(fmt.Sprintf("checks[%d] has an unknown result", i), fmt.Sprint(known),
				fmt.Sprintf("%.60q", c.Result))
		}
		if c.Name == "" {
			return fault.Mismatch(fmt.Sprintf("checks[%d] has no name", i), "what was looked at", "nothing")
		}
		if err := checkLine("a check's name", c.Name, maxName); err != nil {
			return err
		}
		if err := checkLine("a check's reason", c.Reason, maxReason); err != nil {
			return err
		}
	}
	return nil
}

// checkLine refuses what a reader's terminal or page would not show as it is written.
func checkLine(what, text string, most int) error {
	if utf8.RuneCountInString(text) > most || line(text, most) != text {
		return fault.Mismatch(what+" is not one plain line", fmt.Sprintf("at most %d printable characters", most),
			fmt.Sprintf("%.60q", text))
	}
	return nil
}

func unprintable(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }

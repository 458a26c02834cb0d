package evidence

import (
	"fmt"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Claim is what a policy says of a node release: that a test saw a node of it like this.
type Claim struct {
	Node         release.Tag
	Measurements digest.Digest // of the release's published-mrtds.json; zero when the platform moved since
	Profile      release.Profile
	Registers    tdx.Registers
	ImageAlone   bool // only RTMR1 to RTMR3 are the release's: the others were seen later, on another platform
}

// Judge says whether one of the tests vouches for the claim. Code MissingAsset
// when none is of this node release, Verification with what is wrong otherwise.
func (c Claim) Judge(tests []*E2E) error {
	var wrong []string
	for _, e := range tests {
		if e.Node.Release != c.Node {
			continue
		}
		err := c.vouched(e)
		if err == nil {
			return nil
		}
		wrong = append(wrong, e.Path()+": "+err.Error())
	}
	if len(wrong) == 0 {
		return &fault.Error{Code: fault.MissingAsset, Message: fmt.Sprintf("no evidence of E2E of %s", c.Node),
			Expected: fmt.Sprintf("%s/{kms}--%s.json", Dir, c.Node.Version), Got: "none",
			Hint: "merge the pull request with the evidence of its E2E, or release a key service candidate that is paired " +
				"with it; else policy:promote -withoutE2E=REASON"}
	}
	return &fault.Error{Code: fault.Verification,
		Message:  fmt.Sprintf("no successful E2E of %s (%s)", c.Node, c.Profile),
		Expected: "evidence of a test that passed, of the same bytes and registers", Got: strings.Join(wrong, "; "),
		Hint: "release a key service candidate that is paired with it and merge its evidence; else policy:promote " +
			"-withoutE2E=REASON"}
}

func (c Claim) vouched(e *E2E) error {
	if !c.Measurements.IsZero() && e.Node.Measurements != c.Measurements {
		return fmt.Errorf("it is of other measurements, %s instead of %s", e.Node.Measurements, c.Measurements)
	}
	at := slices.IndexFunc(e.Profiles, func(p Profile) bool { return p.Profile == c.Profile })
	if at < 0 {
		return fmt.Errorf("profile %s was not tested", c.Profile)
	}
	if err := e.passed(e.Profiles[at]); err != nil {
		return err
	}
	seen := e.Profiles[at].Node.Seen
	if seen == nil {
		return fmt.Errorf("no node of profile %s was seen", c.Profile)
	}
	for _, d := range c.Registers.Compare(*seen) {
		if !c.ImageAlone || d.Name != "mrtd" && d.Name != "rtmr0" {
			return fmt.Errorf("another %s was seen, %s instead of %s", d.Name, d.Got, d.Want)
		}
	}
	return nil
}

// passed: each of the profile's checks passed, and none of the whole test
// failed. What was not looked at is no pass of a profile; a check of all
// profiles together may be skipped, as isolation is under policy_not_ready.
func (e *E2E) passed(p Profile) error {
	if failed := e.Failed(); len(failed) > 0 {
		return fmt.Errorf("failed: %q", failed[0])
	}
	passes := 0
	for _, c := range p.Checks {
		switch c.Result {
		case check.Passed:
			passes++
		case check.Inapplicable:
		default:
			return fmt.Errorf("%s: %q", c.Result, c.Name)
		}
	}
	if passes == 0 {
		return fmt.Errorf("no check of profile %s was made", p.Profile)
	}
	return nil
}

// Failed names the checks that failed; none for a test that passed.
func (e *E2E) Failed() []string {
	lists := [][]Check{e.Checks}
	for _, p := range e.Profiles {
		lists = append(lists, p.Checks)
	}
	var out []string
	for _, c := range slices.Concat(lists...) {
		if c.Result == check.Failed {
			out = append(out, c.Name)
		}
	}
	return out
}

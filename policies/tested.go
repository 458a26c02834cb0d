package policies

import (
	"context"

	"github.com/calimero-network/mero-tee/catalog/evidence"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Tests are the tests of node releases, by release.
type Tests map[release.Tag][]*evidence.E2E

// ReadTests reads the tests of every node release that the tuples name, unless
// they were all promoted without one. Errors have code Verification when the
// evidence is broken; any other says that it could not be read.
func ReadTests(ctx context.Context, from evidence.Source, tuples []Measurement) (Tests, error) {
	out := Tests{}
	for _, m := range tuples {
		if _, have := out[m.NodeRelease]; have || m.WithoutE2E != "" {
			continue
		}
		tests, err := evidence.Tests(ctx, from, m.NodeRelease)
		if err != nil {
			return nil, err
		}
		out[m.NodeRelease] = tests
	}
	return out, nil
}

// CheckTested says whether a successful E2E vouches for the tuple, or somebody
// said why it need not: the policy "contains only verified measurements from
// successful E2E runs". A refreshed tuple stands on the test of its image. Code
// MissingAsset when there is no test, Verification when none of them passed.
func (t Tests) CheckTested(p release.Profile, m Measurement) error {
	if m.WithoutE2E != "" {
		return nil
	}
	claim := evidence.Claim{Node: m.NodeRelease, Profile: p, Registers: m.Registers, ImageAlone: m.Refreshed()}
	if !m.Refreshed() {
		var err error
		if claim.Measurements, err = digest.Parse(m.Evidence); err != nil {
			return err
		}
	}
	return claim.Judge(t[m.NodeRelease])
}

// Untested are the tuples that were promoted without E2E, one for each release, in their order.
func Untested(tuples []Measurement) []Measurement {
	var out []Measurement
	for _, m := range tuples {
		if m.WithoutE2E != "" && len(Naming(out, m.NodeRelease)) == 0 {
			out = append(out, m)
		}
	}
	return out
}

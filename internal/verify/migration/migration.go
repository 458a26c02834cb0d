// Package migration walks the spec's five steps of a KMS policy migration: the
// pair is listed, the new policy is fetched and verified, the configuration is
// written down, the service restarts, and what runs then is verified.
//
// Its promise: both releases were audited before it looks at them, and the
// migration counts as done only when the restarted service proved itself and
// gave a compatible node its key.
package migration

import (
	"fmt"
	"io"
	"slices"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/compose"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

// Release is one side of the migration, as the audit downloaded it.
type Release struct {
	Tag       release.Tag
	Published measurement.Profile
	HostTCB   tcb.List // what is accepted of the machine under the service
	Policy    *policies.Policy
	// PolicySHA256 is of the policy as it was released.
	PolicySHA256 digest.Digest
	AppCompose   []byte
}

// Migration leads one profile from one release to another.
type Migration struct {
	From, To Release
	Profile  release.Profile
}

// Pairs is step 1: "Determine the KMS version and node-image version pair.
// Verify they appear in the compatibility catalog." It returns the node
// releases that the catalog lists and the new policy admits, newest first.
func (m Migration) Pairs(c *catalog.Catalog) ([]release.Tag, check.Result) {
	name := fmt.Sprintf("step 1: the catalog pairs %s with node releases that its %s policy admits", m.To.Tag, m.Profile)
	var listed, out []release.Tag
	for _, e := range c.Entries {
		node := release.Tag{Family: release.Node, Version: e.NodeImage}
		if e.KMS != m.To.Tag.Version.Final() || !slices.Contains(e.Profiles, m.Profile) {
			continue
		}
		listed = append(listed, node)
		if admits(m.To.Policy, node) && !slices.Contains(out, node) {
			out = append(out, node)
		}
	}
	if len(out) == 0 {
		return nil, check.Fail(name, fault.Verification, "no pair to migrate to",
			"an entry whose node release is in the policy", fmt.Sprint(listed)).
			WithHint("declare the pair in the compatibility catalog, by a pull request")
	}
	slices.SortFunc(out, func(a, b release.Tag) int { return b.Version.Compare(a.Version) })
	return out, check.Pass(fmt.Sprintf("%s: %v", name, out))
}

func admits(p *policies.Policy, node release.Tag) bool {
	return slices.ContainsFunc(p.Measurements, func(m policies.Measurement) bool { return m.NodeRelease == node })
}

// Session is a node release that both policies admit, so that its nodes can
// re-attest after the restart without an upgrade; the newest one.
func (m Migration) Session() (release.Tag, bool) {
	var both []release.Tag
	for _, t := range m.To.Policy.Measurements {
		if admits(m.From.Policy, t.NodeRelease) {
			both = append(both, t.NodeRelease)
		}
	}
	if len(both) == 0 {
		return release.Tag{}, false
	}
	return slices.MaxFunc(both, func(a, b release.Tag) int { return a.Version.Compare(b.Version) }), true
}

// Variable is one environment variable of the key service.
type Variable struct{ Name, Value string }

// Environment is step 3: what the released compose file of the new version
// sets. Its bytes are measured, so these values are not to be typed in but
// compared.
func (m Migration) Environment() ([]Variable, error) {
	app, err := compose.ParseApp(m.To.AppCompose)
	if err != nil {
		return nil, err
	}
	services, err := app.Services()
	if err != nil {
		return nil, err
	}
	var out []Variable
	for _, s := range services {
		for _, name := range []string{"MERO_KMS_VERSION", "MERO_KMS_PROFILE", "MERO_KMS_POLICY_URL",
			"MERO_KMS_POLICY_SHA256"} {
			value, set := s.Environment[name]
			if !set {
				return nil, fault.Mismatch("the compose file of "+m.To.Tag.String(), name, "not set")
			}
			out = append(out, Variable{name, value})
		}
	}
	return out, nil
}

// WriteDiff writes what the new policy admits and the old one did not ("+"),
// the other way round ("-"), and how much both admit.
func (m Migration) WriteDiff(w io.Writer) error {
	d := &diff{w: w}
	d.statuses("-", m.From.Policy, m.To.Policy)
	d.statuses("+", m.To.Policy, m.From.Policy)
	d.tuples("-", m.From.Policy, m.To.Policy)
	kept := d.tuples("+", m.To.Policy, m.From.Policy)
	d.printf("  %d measurements in both\n", kept)
	return d.err
}

type diff struct {
	w   io.Writer
	err error
}

func (d *diff) printf(format string, args ...any) {
	if d.err == nil {
		_, d.err = fmt.Fprintf(d.w, format, args...)
	}
}

func (d *diff) statuses(sign string, of, other *policies.Policy) {
	for _, s := range of.AllowedTCBStatus {
		if !slices.Contains(other.AllowedTCBStatus, s) {
			d.printf("%s tcb_status %s\n", sign, s)
		}
	}
}

// tuples writes those of one policy that the other lacks and counts the rest.
func (d *diff) tuples(sign string, of, other *policies.Policy) (common int) {
	for _, t := range of.Measurements {
		if slices.ContainsFunc(other.Measurements, func(o policies.Measurement) bool { return o.Registers == t.Registers }) {
			common++
			continue
		}
		d.printf("%s %s\n", sign, t.NodeRelease)
		for i, value := range t.Values() {
			d.printf("%s   %-5s %s\n", sign, tdx.RegisterNames()[i], value)
		}
	}
	return common
}

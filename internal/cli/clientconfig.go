package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/node/clientconfig"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/migration"
)

// ClientRequest says whose client configuration is wanted.
type ClientRequest struct {
	Profile string
	URL     string // of the key service
	Tag     string // of its release
	Format  string // "toml" or "json"; empty: toml
	Attest  bool   // ask the running service, and pin its RTMR3
}

// ClientConfig writes the client configuration for a profile of a release to
// w. The release is audited first, and refused unless every check passes.
func ClientConfig(ctx context.Context, w io.Writer, r ClientRequest) error {
	profile, err := release.ParseProfile(r.Profile)
	if err != nil {
		return err
	}
	tag, err := parseTag(release.KMS, r.Tag)
	if err != nil {
		return err
	}
	if r.Format != "" && r.Format != "toml" && r.Format != "json" {
		return &fault.Error{Code: fault.Usage, Message: "unknown format of a client configuration",
			Expected: "toml or json", Got: fmt.Sprintf("%q", r.Format)}
	}
	return operate(ctx, func(o *operator) error {
		kms, err := o.keyService(ctx, tag, profile)
		if err != nil {
			return err
		}
		c, err := clientconfig.New(r.URL, kms.Published, kms.HostTCB.Today(time.Now()))
		if err != nil {
			return err
		}
		if err := o.pin(ctx, c, kms, r.Attest); err != nil {
			return err
		}
		data := c.TOML(append([]string{fmt.Sprintf(
			"Key service %s, profile %s.%s Do not follow latest: pin a reviewed release.", tag, profile, o.banner())},
			waived(kms.HostTCB, time.Now())...)...)
		if r.Format == "json" {
			data, err = c.JSON()
		}
		if err == nil {
			_, err = w.Write(data)
		}
		return err
	})
}

// waived names the waivers behind the TCB statuses of a client's configuration,
// which itself can say neither their scope nor their end.
func waived(host tcb.List, at time.Time) []string {
	var out []string
	for _, w := range host.TCBWaivers {
		if w.Holds(at) {
			out = append(out, "TCB waiver of the key service's host: "+w.What()+": "+w.Reason)
		}
	}
	return out
}

// pin asks the running service to prove itself and adds its RTMR3.
func (o *operator) pin(ctx context.Context, c *clientconfig.Config, kms migration.Release, attest bool) error {
	if !attest {
		o.console.Warnf("allowed_rtmr3 is empty: RTMR3 is per instance; " +
			"with -attest the running service's is verified and pinned")
		return nil
	}
	want, err := o.expectation(c, kms)
	if err != nil {
		return err
	}
	proved, err := (&agent.Agent{HTTP: o.env.Client()}).VerifyKMS(ctx, c.URL, want)
	if err != nil {
		return err
	}
	c.Pin(proved)
	return nil
}

// expectation is that of a client with this configuration, but of the machine: the release's list says of which
// machines a waiver is and until when, which a configuration cannot.
func (o *operator) expectation(c *clientconfig.Config, kms migration.Release) (agent.Expectation, error) {
	v, err := o.env.Verifier()
	if err != nil {
		return agent.Expectation{}, err
	}
	want, err := c.Expectation(v)
	want.TCB, want.TCBFile = kms.HostTCB, "the list of the release, host_tcb in "+release.MeasurementsAsset
	return want, err
}

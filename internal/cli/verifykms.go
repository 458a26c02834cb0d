package cli

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/calimero-network/mero-tee/internal/artifact/signature"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/node/clientconfig"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/migration"
)

const healthDeadline = 30 * time.Second

// VerifyService judges a running key service by its release, which is audited
// first: one line for each thing that it proves, and for each that it says of itself.
func VerifyService(ctx context.Context, url, tagName, profileName string) error {
	profile, err := release.ParseProfile(profileName)
	if err != nil {
		return err
	}
	tag, err := parseTag(release.KMS, tagName)
	if err != nil {
		return err
	}
	return operate(ctx, func(o *operator) error {
		kms, err := o.keyService(ctx, tag, profile)
		if err != nil {
			return err
		}
		results, err := o.service(ctx, url, kms, profile)
		if err != nil {
			return err
		}
		if err := results.Report(o.console); err != nil {
			return err
		}
		o.console.Infof("%s is %s, profile %s%s", url, tag, profile, o.banner())
		return nil
	})
}

// service asks the one at url. What it proves comes first; what it says without proof rests on the compose hash.
func (o *operator) service(ctx context.Context, url string, kms migration.Release, p release.Profile) (
	check.Results, error,
) {
	c, err := clientconfig.New(url, kms.Published, kms.HostTCB.Today(time.Now()))
	if err != nil {
		return nil, err
	}
	want, err := o.expectation(c, kms)
	if err != nil {
		return nil, err
	}
	client := o.env.Client()
	client.CheckRedirect = func(r *http.Request, _ []*http.Request) error { return &redirected{r.URL.Redacted()} }
	out := (&agent.Agent{HTTP: client}).InspectKMS(ctx, c.URL, want)
	asking, cancel := context.WithTimeout(ctx, healthDeadline)
	defer cancel()
	h, err := agent.AskHealth(asking, client, c.URL)
	if err != nil {
		return append(out, check.Of("answer of /health", agent.Unanswered(err, healthDeadline))), nil
	}
	return append(out, o.said(h, kms, p)...), nil
}

// said compares what the service says of itself with its release.
func (o *operator) said(h wire.Health, kms migration.Release, p release.Profile) check.Results {
	signer := signature.Identity{Repository: o.env.Config.Repository, Workflow: release.KMS.Workflow(),
		Tag: kms.Tag}.SAN()
	var out check.Results
	for _, s := range []struct{ name, want, got string }{
		{"version", kms.Tag.Version.String(), h.Version},
		{"profile", string(p), h.Profile},
		{"policy, by its digest", kms.PolicySHA256.Hex(), h.PolicySHA256},
		{"signer of the policy", signer, h.PolicySignedBy},
		{"root of the nodes' quotes", fmt.Sprintf("%x", o.env.TDXRoot), h.TDXRootSHA256},
	} {
		var err error
		if s.got != s.want {
			err = fault.Mismatch("the service says another", s.want, fmt.Sprintf("%.200q", s.got))
		}
		out = append(out, check.Of(s.name, err))
	}
	ready := check.Pass("policy is ready: keys are released")
	if !h.PolicyReady {
		ready = check.Fail(ready.Name, fault.General, "it is not", "policyReady in /health",
			fmt.Sprintf("%.200q", h.PolicyReason))
	}
	return append(out, ready)
}

// redirected is a service that sends its clients elsewhere, which no node follows.
type redirected struct{ to string }

func (r *redirected) Error() string {
	return "it leads to " + r.to + ", and a key service answers itself"
}

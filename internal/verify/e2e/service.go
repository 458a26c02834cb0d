package e2e

import (
	"context"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/node/clientconfig"
	"github.com/calimero-network/mero-tee/internal/provider/dstack"
	"github.com/calimero-network/mero-tee/internal/release"
)

// service is one deployed key service; err says why there is none to talk to,
// attested why report is nil.
type service struct {
	machine
	app        dstack.App
	want       agent.Expectation
	deployment *dstack.Deployment
	config     []byte // of the nodes that visit it
	err        error
	report     *agent.KMSReport // what it proved to the trial itself
	attested   error
}

func (t *Trial) service(r *Release, p release.Profile) *service {
	return &service{machine: machine{r.KMS.Tag, p}, want: t.expectation(r, p), err: errNotDeployed, attested: errNotDeployed,
		app: dstack.App{Name: dstack.Name(string(release.KMS), r.KMS.Tag.Version.String(), string(p)), Compose: r.AppCompose[p]}}
}

// expectation is what the published measurements demand of a profile's key service.
func (t *Trial) expectation(r *Release, p release.Profile) agent.Expectation {
	return agent.Expectation{Verifier: t.Verifier, AllowedTCB: t.AllowedTCB,
		Registers: r.KMS.Profiles[p].Registers(), ComposeHash: r.ComposeHash[p]}
}

// deploy runs a key service and has it attest itself.
func (s *stage) deploy(ctx context.Context, out *service) {
	out.err = s.start(ctx, out)
	out.attested = out.err
	if out.err == nil {
		out.report, out.attested = (&agent.Agent{HTTP: s.trial.HTTP}).VerifyKMS(ctx, out.deployment.URL, out.want)
	}
	if out.report != nil {
		s.seen.add(s.serviceLabel(out.machine), out.report.Quote, out.report.Verdict)
	}
}

func (s *stage) start(ctx context.Context, out *service) (err error) {
	if out.deployment, err = s.trial.Provider.Deploy(ctx, out.app); err != nil {
		return err
	}
	if err := Ready(ctx, s.trial.HTTP, out.deployment.URL); err != nil {
		return err
	}
	out.config, err = Configure(out.deployment.URL, out.want)
	return err
}

// Configure is the client configuration of a node that visits the service at url.
func Configure(url string, want agent.Expectation) ([]byte, error) {
	r := want.Registers
	c, err := clientconfig.New(url, measurement.Profile{MRTD: r.MRTD, RTMR0: r.RTMR0, RTMR1: r.RTMR1, RTMR2: r.RTMR2,
		Image: measurement.Image{ComposeHash: want.ComposeHash}}, want.AllowedTCB)
	if err != nil {
		return nil, err
	}
	return c.TOML(), nil
}

package e2e

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/kms/compose"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/node/clientconfig"
	"github.com/calimero-network/mero-tee/internal/provider/dstack"
	"github.com/calimero-network/mero-tee/internal/release"
)

// BootPatience bounds the life of one node: the VM, its agent's deadline, and its deletion.
const BootPatience = 20 * time.Minute

// node is one booted node. err says why it gave no report, unproven why verdict is nil.
type node struct {
	machine
	published *measurement.Published
	plan      []*service // that it visits
	report    *agent.Report
	err       error
	verdict   *tdx.Verdict
	unproven  error
	proved    map[*service]error // why a visit proves nothing; nil: the service proved itself to the node
	left      error              // the machine is still there
}

// visits adds services to the node's mission, each once.
func (n *node) visits(services ...*service) {
	for _, v := range services {
		if !slices.Contains(n.plan, v) {
			n.plan = append(n.plan, v)
		}
	}
}

// mission asks for a visit of every service of the plan that is there, and
// for the health of the release under test: an older agent does not know the question.
func (s *stage) mission(n *node) agent.Mission {
	m := agent.Mission{Nonce: agent.NewNonce(), Health: n.tag == s.run.Release.Node.Tag}
	for _, v := range n.plan {
		if v.err == nil {
			m.Visits = append(m.Visits, agent.Visit{Name: v.app.Name, Config: v.config})
		}
	}
	return m
}

// boot has a node carry out its mission, and verifies what it proves.
func (s *stage) boot(ctx context.Context, n *node) {
	ctx, cancel := context.WithTimeout(ctx, BootPatience)
	defer cancel()
	m := s.mission(n)
	n.report, n.err = s.run.Nodes.Boot(ctx, n.published, n.profile, m)
	if errors.Is(n.err, agent.ErrLeft) {
		n.left = n.err
	}
	if n.left != nil && n.report != nil {
		n.err = nil
	}
	if n.unproven = n.err; n.err != nil {
		return
	}
	if n.verdict, n.unproven = n.report.Verify(ctx, s.run.Verifier, n.profile, m.Nonce); n.unproven != nil {
		return
	}
	s.seen.add(s.nodeLabel(n.machine), n.report.Quote, n.verdict)
	n.proved = map[*service]error{}
	for _, v := range n.plan {
		n.proved[v] = s.proof(ctx, n, v)
	}
}

// proof looks, from outside, at the quote that a service gave to a node: it must
// be of the instance that proved itself to the run.
func (s *stage) proof(ctx context.Context, n *node, v *service) error {
	if v.err != nil {
		return v.err
	}
	visit, err := n.report.Visit(v.app.Name)
	if err != nil {
		return err
	}
	if v.report == nil {
		return v.attested
	}
	verdict, err := visit.Verify(ctx, s.run.Verifier, v.report.Verdict.Registers)
	if err == nil {
		s.seen.add(s.serviceLabel(v.machine), visit.Quote, verdict)
	}
	return err
}

// visit is how the node fared with a service that proved itself to it.
func (n *node) visit(v *service) (*agent.VisitResult, error) {
	if err := errors.Join(v.err, n.unproven, n.proved[v]); err != nil {
		return nil, err
	}
	return n.report.Visit(v.app.Name)
}

// service is one deployed key service; err says why there is none to talk to,
// attested why report is nil.
type service struct {
	machine
	app        dstack.App
	want       agent.Expectation
	deployment *dstack.Deployment
	config     []byte // of the nodes that visit it
	err        error
	report     *agent.KMSReport // what it proved to the run itself
	attested   error
}

// service plans a deployment that runs app, which is the released file of a
// machine without a policy of its own.
func (t *Run) service(r *Release, m machine, app []byte) *service {
	want := t.expectation(r, m.profile)
	name := []string{string(release.KMS), m.tag.Version.String(), string(m.profile)}
	if m.policy != "" {
		want.ComposeHash = compose.Hash(app)
		name = append(name, shortened(m.policy))
	}
	image := r.KMS.Profiles[m.profile].Image
	return &service{machine: m, want: want, err: errNotDeployed, attested: errNotDeployed,
		app: dstack.App{Name: dstack.Name(append(name, t.ID)...), Compose: app, Image: image.OSImage,
			OSImageHash: image.OSImageHash}}
}

// shortened is a policy's title in a deployment's name, which has 63 characters.
func shortened(policy string) string {
	if policy == PromotedPolicy {
		return "updated"
	}
	return "stale"
}

// expectation is what the published measurements demand of a profile's key service.
func (t *Run) expectation(r *Release, p release.Profile) agent.Expectation {
	return agent.Expectation{Verifier: t.Verifier, TCB: t.HostTCB, TCBFile: tcb.HostFile,
		Registers: r.KMS.Profiles[p].Registers(), ComposeHash: r.ComposeHash[p]}
}

// deploy runs a key service and has it attest itself.
func (s *stage) deploy(ctx context.Context, out *service) {
	out.err = s.start(ctx, out)
	out.attested = out.err
	if out.err == nil {
		out.report, out.attested = (&agent.Agent{HTTP: s.run.HTTP}).VerifyKMS(ctx, out.deployment.URL, out.want)
	}
	if out.report != nil {
		s.seen.add(s.serviceLabel(out.machine), out.report.Quote, out.report.Verdict)
	}
}

func (s *stage) start(ctx context.Context, out *service) (err error) {
	if out.deployment, err = s.run.Provider.Deploy(ctx, out.app); err != nil {
		return err
	}
	if err := Ready(ctx, s.run.HTTP, out.deployment.URL); err != nil {
		return err
	}
	out.config, err = Configure(out.deployment.URL, out.want)
	return err
}

// Configure is the client configuration of a node that visits the service at url.
// A waiver becomes its status: a client's configuration has neither scope nor end.
func Configure(url string, want agent.Expectation) ([]byte, error) {
	r := want.Registers
	c, err := clientconfig.New(url, measurement.Profile{MRTD: r.MRTD, RTMR0: r.RTMR0, RTMR1: r.RTMR1, RTMR2: r.RTMR2,
		Image: measurement.Image{ComposeHash: want.ComposeHash}}, want.TCB.Today(time.Now()))
	if err != nil {
		return nil, err
	}
	return c.TOML(), nil
}

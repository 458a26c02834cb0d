package node

import (
	"context"
	"net/http"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/node/mission"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Nodes boots simulated images in this process, with the agent's own code in
// them. Nothing of a machine is left when it has reported.
type Nodes struct {
	Platform *tdxsim.Platform
	HTTP     *http.Client // of the nodes: reaches key services and collateral
	TDXRoot  [32]byte
	// Start boots an image otherwise; nil: as Image.Boot does.
	Start func(Image) (*Machine, error)
}

var _ agent.Nodes = Nodes{}

// Boot carries a mission out on a fresh machine. The report takes the form in which it would leave a VM.
func (n Nodes) Boot(ctx context.Context, published *measurement.Published, profile release.Profile, m agent.Mission) (*agent.Report, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	machine, err := n.start(Image{Version: published.Tag.Version, Profile: profile})
	if err != nil {
		return nil, err
	}
	attributes, err := m.Attributes()
	if err != nil {
		return nil, err
	}
	if m, err = agent.ParseMission(attributes); err != nil {
		return nil, err
	}
	inside := mission.Node{Profile: profile, TSM: machine.TSM(), HTTP: n.HTTP, Root: n.TDXRoot, Now: time.Now,
		EventLog: func() ([]byte, error) { return machine.Log.CCEL(), nil }}
	report, _ := inside.Accomplish(ctx, m) // its error is in the report
	data, err := report.Encode()
	if err != nil {
		return nil, err
	}
	return agent.DecodeReport(data)
}

func (n Nodes) start(i Image) (*Machine, error) {
	if n.Start != nil {
		return n.Start(i)
	}
	return i.Boot(n.Platform)
}

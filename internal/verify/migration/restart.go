package migration

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/provider/dstack"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/e2e"
)

const cleanupPatience = 2 * time.Minute

// Field is where services run and nodes boot. All fields are required.
type Field struct {
	Provider e2e.Provider
	Nodes    agent.Nodes
	Verifier *tdx.Verifier
	HTTP     *http.Client
}

// Restart is steps 4 and 5 from beginning to end: the old release is deployed;
// the new one is deployed beside it and takes over; a node whose session is
// with the old one still gets its key there, and re-attests to the new one.
// session is of a node release that both policies admit, nil when there is
// none. What it deployed is deleted when it returns.
func (f Field) Restart(ctx context.Context, m Migration, session, node *measurement.Published) (out check.Results) {
	var deployed []string
	defer func() { out = append(out, f.clear(ctx, deployed)) }()
	deploy := func(r Release) (place, error) {
		d, err := f.Provider.Deploy(ctx, dstack.App{Name: dstack.Name(string(release.KMS), r.Tag.Version.String(), string(m.Profile)), Compose: r.AppCompose})
		if err != nil {
			return place{}, err
		}
		deployed = append(deployed, d.ID)
		return place{r, d.URL}, e2e.Ready(ctx, f.HTTP, d.URL)
	}
	from, err := deploy(m.From)
	if err != nil {
		return append(out, check.Of("step 4: the service of "+m.From.Tag.String(), err))
	}
	to, err := deploy(m.To)
	out = append(out, check.Of("step 4: rolling restart, "+m.To.Tag.String()+" is up", err))
	if err != nil {
		return out
	}
	out = append(out, f.session(ctx, m, session, from, to)...)
	return append(out, f.Verify(ctx, m, node, to.url)...)
}

// session: "Existing node connections are unaffected until they re-attest." The
// node of the session is one machine, which asks both services.
func (f Field) session(ctx context.Context, m Migration, node *measurement.Published, from, to place) check.Results {
	const (
		lasting  = "step 4: a session with the old service still gets its key"
		renewing = "step 4: the session re-attests to the restarted service"
	)
	if node == nil {
		const why = "no node release is in both policies: every node must be upgraded before it re-attests"
		return check.Results{check.NotApplicable(lasting, why), check.NotApplicable(renewing, why)}
	}
	failed, err := f.visit(ctx, m, node, from, to)
	if err != nil {
		failed = []error{err, err}
	}
	return check.Results{check.Of(lasting, failed[0]), check.Of(renewing, failed[1])}
}

// Verify is step 5: "Run POST /attest against the restarted KMS and verify it
// returns a valid quote. Then test a key release from a node running the
// compatible image."
func (f Field) Verify(ctx context.Context, m Migration, node *measurement.Published, url string) check.Results {
	to := place{m.To, url}
	_, err := f.attest(ctx, to)
	out := check.Results{check.Of(fmt.Sprintf("step 5: %s attests as %s", url, m.To.Tag), err)}
	name := fmt.Sprintf("step 5: a node of %s gets its key", node.Tag)
	if err != nil {
		return append(out, check.Fail(name, check.Of("", err).Code, "not asked: the service did not prove itself", "", ""))
	}
	failed, err := f.visit(ctx, m, node, to)
	if err == nil {
		err = failed[0]
	}
	return append(out, check.Of(name, err))
}

// clear deletes what was deployed, also when ctx has ended.
func (f Field) clear(ctx context.Context, deployed []string) check.Result {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupPatience)
	defer cancel()
	var errs []error
	for _, id := range deployed {
		errs = append(errs, f.Provider.Delete(ctx, id))
	}
	return check.Of("nothing is left behind", errors.Join(errs...))
}

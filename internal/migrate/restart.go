package migrate

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/calimero-network/mero-tee/internal/agent"
	"github.com/calimero-network/mero-tee/internal/check"
	"github.com/calimero-network/mero-tee/internal/compose"
	"github.com/calimero-network/mero-tee/internal/dstack"
	"github.com/calimero-network/mero-tee/internal/e2e"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/tdx"
)

const cleanupPatience = 2 * time.Minute

// Field is where services run and nodes boot. All fields are required.
type Field struct {
	Provider e2e.Provider
	Boot     e2e.Boot
	Verifier *tdx.Verifier
	HTTP     *http.Client
}

// Restart is steps 4 and 5 from beginning to end: the old release is deployed
// and a node gets its key from it; the new one is deployed beside it and takes
// over; a session of the old one works until then, and re-attests to the new
// one after. What it deployed is deleted when it returns.
func (f Field) Restart(ctx context.Context, m Migration, node release.Tag) (out check.Results) {
	var deployed []string
	defer func() { out = append(out, f.clear(ctx, deployed)) }()
	deploy := func(r Release) (string, error) {
		d, err := f.Provider.Deploy(ctx, dstack.App{Name: dstack.Name(string(release.KMS), r.Tag.Version.String(), string(m.Profile)), Compose: r.AppCompose})
		if err != nil {
			return "", err
		}
		deployed = append(deployed, d.ID)
		return d.URL, e2e.Ready(ctx, f.HTTP, d.URL)
	}
	from, err := deploy(m.From)
	if err != nil {
		return append(out, check.Of("step 4: the service of "+m.From.Tag.String(), err))
	}
	session, sessionResult := f.session(ctx, m, from)
	to, err := deploy(m.To)
	out = append(out, check.Of("step 4: rolling restart, "+m.To.Tag.String()+" is up", err))
	if err != nil {
		return out
	}
	if session != nil && sessionResult.OK() {
		_, err = session.GetKey(ctx, from)
		out = append(out, check.Of("step 4: the session that began before still gets its key", err))
		_, err = f.verified(ctx, session, m.To, to)
		out = append(out, check.Of("step 4: the session re-attests to the restarted service", err))
	} else {
		out = append(out, sessionResult)
	}
	return append(out, f.Verify(ctx, m, node, to)...)
}

// session is a node that gets its key from the old service.
func (f Field) session(ctx context.Context, m Migration, url string) (*agent.Agent, check.Result) {
	const name = "step 4: existing sessions"
	node, ok := m.Session()
	if !ok {
		return nil, check.NotApplicable(name, "no node release is in both policies: every node must be upgraded before it re-attests")
	}
	a, err := f.node(ctx, node, m.Profile)
	if err == nil {
		_, err = f.verified(ctx, a, m.From, url)
	}
	return a, check.Of(name, err)
}

// Verify is step 5: "Run POST /attest against the restarted KMS and verify it
// returns a valid quote. Then test a key release from a node running the
// compatible image."
func (f Field) Verify(ctx context.Context, m Migration, node release.Tag, url string) check.Results {
	attested, err := (&agent.Agent{HTTP: f.HTTP}).VerifyKMS(ctx, url, m.To.expectation(f.Verifier))
	out := check.Results{check.Of(fmt.Sprintf("step 5: %s attests as %s", url, m.To.Tag), err)}
	name := fmt.Sprintf("step 5: a node of %s gets its key", node)
	if attested == nil {
		return append(out, check.Fail(name, check.Of("", err).Code, "not asked: the service did not prove itself", "", ""))
	}
	a, err := f.node(ctx, node, m.Profile)
	if err == nil {
		_, err = f.verified(ctx, a, m.To, url)
	}
	return append(out, check.Of(name, err))
}

// verified is a key from a service that proved to be the release.
func (f Field) verified(ctx context.Context, a *agent.Agent, r Release, url string) ([]byte, error) {
	if _, err := a.VerifyKMS(ctx, url, r.expectation(f.Verifier)); err != nil {
		return nil, err
	}
	return a.GetKey(ctx, url)
}

func (r Release) expectation(v *tdx.Verifier) agent.Expectation {
	return agent.Expectation{Verifier: v, Registers: r.Published.Registers(), ComposeHash: compose.Hash(r.AppCompose), AllowedTCB: r.Policy.AllowedTCBStatus}
}

// node boots a node, which measures its profile.
func (f Field) node(ctx context.Context, tag release.Tag, p release.Profile) (*agent.Agent, error) {
	tsm, err := f.Boot(ctx, tag, p)
	if err != nil {
		return nil, err
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	a := &agent.Agent{TSM: tsm, HTTP: f.HTTP, Profile: p, Key: key}
	return a, a.ExtendProfile()
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

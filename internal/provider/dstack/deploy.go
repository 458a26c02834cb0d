package dstack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

const (
	// patience bounds a whole deployment. A CVM of the real provider was healthy
	// after 2 to 8 minutes; the predecessor gave it 20.
	patience        = 20 * time.Minute
	cleanupPatience = 2 * time.Minute
)

// Deployment is an application that runs and answers.
type Deployment struct {
	ID          string // "app_" and the app id: what Get, Logs and Delete take
	AppID       string // 40 hex digits
	ComposeHash string // 64 hex digits, as the provider says; that it is ours was made sure
	URL         string // of the application, no trailing slash
}

// Deploy runs the application and returns when its /health answers 200.
//
// What the provider stored is read back: when it is not app.Compose, or has
// another compose hash, the error has code 10, all the hashes, and the fields
// that were added. After any error what was made is deleted, and the error ends
// with its last log lines. A CVM of the same name that is there already is not
// ours: it stays, and Deploy fails.
func (c *Client) Deploy(ctx context.Context, app App) (*Deployment, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	app = app.withDefaults()
	d, provisioned, err := c.launch(ctx, app)
	if err != nil {
		return nil, err
	}
	if err := c.bringUp(ctx, app, d); err != nil {
		if altered := c.unchanged(ctx, app, d, provisioned); fault.CodeOf(altered) == fault.Verification {
			err = errors.Join(altered, err)
		}
		return nil, c.abandon(ctx, app, d, err)
	}
	if err := c.unchanged(ctx, app, d, provisioned); err != nil {
		return nil, c.abandon(ctx, app, d, err)
	}
	d.ComposeHash = provisioned
	return d, nil
}

// launches bounds how often another deployment may take the id that we were given.
const launches = 8

// launch has the provider make the CVM, and returns the compose hash that the provider says it has.
func (c *Client) launch(ctx context.Context, app App) (*Deployment, string, error) {
	for attempt := 1; ; attempt++ {
		p, err := c.Provision(ctx, app)
		if err != nil {
			return nil, "", err
		}
		d := deployment(p.AppID, app)
		if err := app.announce(d.AppID); err != nil {
			return nil, "", err
		}
		cvm, err := c.Create(ctx, p)
		switch {
		case err == nil && cvm.Name == app.Name:
			return d, bare(p.ComposeHash), nil
		case err != nil && !isCode(err, appIDConflict):
			return nil, "", c.disown(ctx, app, d, err)
		case attempt == launches:
			return nil, "", &fault.Error{Code: fault.General,
				Message: "another deployment took each app id that " + app.Name + " was given",
				Hint:    "run again when fewer deployments begin at once"}
		}
	}
}

// appIDConflict is the code of a 409: the app id has an application with another compose hash.
const appIDConflict = "ERR-03-007"

func deployment(appID string, app App) *Deployment {
	id := strings.TrimPrefix(appID, "app_")
	return &Deployment{ID: "app_" + id, AppID: id, ComposeHash: digest.Of(app.Compose).Hex()}
}

// disown ends a launch whose outcome is not known: if the CVM is there after all, it is deleted.
func (c *Client) disown(ctx context.Context, app App, d *Deployment, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupPatience)
	defer cancel()
	if _, err := c.DeleteOwn(ctx, d.ID, app.Name); err != nil {
		return leftBehind(cause, d, err)
	}
	return cause
}

func leftBehind(cause error, d *Deployment, err error) error {
	return errors.Join(cause, fmt.Errorf("left behind: CVM %s: %w", d.ID, err))
}

// bringUp waits for the address and the health of a CVM, and starts it when the
// provider did not. What the machine says of a failed boot ends the wait.
func (c *Client) bringUp(ctx context.Context, app App, d *Deployment) error {
	return c.poll(ctx, app.Name+" to answer /health", func() (bool, error) {
		cvm, err := c.Get(ctx, d.ID)
		if err != nil {
			return false, retriable(err) // 404: not visible yet
		}
		if d.URL = cvm.address(app.Port); d.URL != "" && c.healthy(ctx, d.URL) {
			return true, nil
		}
		state, err := c.State(ctx, d.ID)
		if err != nil {
			return false, retriable(err)
		}
		if err := state.ended(app.Name); err != nil {
			return false, err
		}
		if state.Status == "created" || state.Status == "stopped" {
			return false, retriable(c.Start(ctx, d.ID))
		}
		return false, nil
	})
}

// ended says, in the machine's words, why it will not come up.
func (s *State) ended(name string) error {
	switch {
	case s.BootError != "":
		return &fault.Error{Code: fault.General, Message: name + " did not boot", Err: fmt.Errorf("%.400s", s.BootError),
			Expected: "no boot error", Got: fmt.Sprintf("status %s, after %q", s.Status, s.BootProgress)}
	case s.ExitedAt != "":
		return &fault.Error{Code: fault.General, Message: name + " ended", Expected: "a machine that runs",
			Got: fmt.Sprintf("status %s, exited at %s", s.Status, s.ExitedAt)}
	}
	return nil
}

// address is the URL of the application's port: the provider's own word when it lists the port, else the gateway's
// rule.
func (v *CVM) address(port int) string {
	marker := fmt.Sprintf("-%d.", port)
	for _, e := range v.Endpoints {
		if strings.Contains(e.App, marker) {
			return strings.TrimRight(e.App, "/")
		}
	}
	if v.Gateway.BaseDomain == "" || v.AppID == "" {
		return ""
	}
	return "https://" + strings.TrimPrefix(v.AppID, "app_") + marker + v.Gateway.BaseDomain
}

func (c *Client) healthy(ctx context.Context, base string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/health", nil)
	if err != nil {
		return false
	}
	_, err = c.read(req)
	return err == nil
}

// abandon deletes what a failed deployment made, also after cancellation, and adds what its log said.
func (c *Client) abandon(ctx context.Context, app App, d *Deployment, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupPatience)
	defer cancel()
	if tail, err := c.Logs(ctx, d.ID, app.Service, 20); err == nil && tail != "" {
		cause = fmt.Errorf("%w\nlast log lines:\n%s", cause, tail)
	}
	if err := c.Delete(ctx, d.ID); err != nil {
		return leftBehind(cause, d, err)
	}
	return cause
}

// agentPort is where the guest agent publishes logs when app-compose.json says
// public_logs (external_routes in guest-agent/src/http_routes.rs of Dstack-TEE/dstack).
const agentPort = 8090

// Logs is the last lines that a service of the compose file wrote. dstack names
// the container of a service "dstack-{service}-1".
func (c *Client) Logs(ctx context.Context, id, service string, lines int) (string, error) {
	cvm, err := c.Get(ctx, id)
	if err != nil {
		return "", err
	}
	base := cvm.address(agentPort)
	if base == "" {
		return "", fmt.Errorf("CVM %s has no gateway yet", id)
	}
	address := fmt.Sprintf("%s/logs/dstack-%s-1?text&bare&tail=%d", base, url.PathEscape(service), lines)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	data, err := c.read(req)
	return string(data), err
}

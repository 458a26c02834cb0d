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
	ComposeHash string // 64 hex digits, the same by the provider's and by our reckoning
	URL         string // of the application, no trailing slash
}

// Deploy runs the application and returns when its /health answers 200.
//
// A CVM of the same name that an interrupted run left behind is deleted first.
// When the provider's compose hash is not the SHA-256 of app.Compose, nothing
// is created and the error has code 10. When anything else fails, the CVM is
// deleted and the error ends with its last log lines.
func (c *Client) Deploy(ctx context.Context, app App) (*Deployment, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	app = app.withDefaults()
	if err := c.vacate(ctx, app.Name); err != nil {
		return nil, err
	}
	p, err := c.Provision(ctx, app)
	if err != nil {
		return nil, err
	}
	if err := app.agrees(p); err != nil {
		return nil, err
	}
	id := strings.TrimPrefix(p.AppID, "app_")
	d := &Deployment{ID: "app_" + id, AppID: id, ComposeHash: digest.Of(app.Compose).Hex()}
	if _, err = c.Create(ctx, p); err == nil {
		err = c.bringUp(ctx, app, d)
	}
	if err != nil {
		return nil, c.abandon(ctx, app, d, err)
	}
	return d, nil
}

// vacate deletes the CVM of that name, if there is one, and waits until the name is free.
func (c *Client) vacate(ctx context.Context, name string) error {
	if !nameForm.MatchString(name) {
		return nil // Provision says why
	}
	return c.poll(ctx, "the name "+name+" to be free", func() (bool, error) {
		cvm, err := c.Get(ctx, name)
		if isStatus(err, http.StatusNotFound) {
			return true, nil
		}
		if err != nil {
			return false, retriable(err)
		}
		return false, retriable(c.Delete(ctx, cvm.UUID))
	})
}

// bringUp starts the CVM when the provider did not, and waits for its address and its health.
func (c *Client) bringUp(ctx context.Context, app App, d *Deployment) error {
	return c.poll(ctx, app.Name+" to answer /health", func() (bool, error) {
		cvm, err := c.Get(ctx, d.ID)
		if isStatus(err, http.StatusNotFound) {
			return false, nil // not visible yet
		}
		if err != nil {
			return false, retriable(err)
		}
		switch cvm.Status {
		case "created", "stopped":
			return false, retriable(c.Start(ctx, d.ID))
		case "failed", "error", "exited":
			return false, &fault.Error{Code: fault.General, Message: "the CVM did not come up",
				Expected: "status running", Got: "status " + cvm.Status}
		case "running":
			d.URL = cvm.address(app.Port)
			return d.URL != "" && c.healthy(ctx, d.URL), nil
		}
		return false, nil
	})
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
		cause = errors.Join(cause, fmt.Errorf("left behind: CVM %s: %w", d.ID, err))
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

package dstack

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// Update has a running application run app.Compose instead, under the app id
// that it has: its keys stay, its compose hash becomes another. It returns when
// the provider shows the new file and /health answers.
//
// The provider answers before anything happened, and the old application may
// answer a while longer: whoever needs to know which one speaks asks for its
// quote. When the provider's compose hash is not the SHA-256 of app.Compose,
// nothing is changed and the error has code 10. After any other error the
// application is there, with the one file or the other: Update may be called again.
func (c *Client) Update(ctx context.Context, appID string, app App) (*Deployment, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	app = app.withDefaults()
	d := deployment(appID, app)
	before, err := c.State(ctx, d.ID)
	if err != nil {
		return nil, err
	}
	if err := c.offer(ctx, app, d); err != nil {
		return nil, err
	}
	path := "/cvms/" + url.PathEscape(d.ID) + "/compose_file"
	commit := map[string]string{"compose_hash": d.ComposeHash}
	if err := c.call(ctx, http.MethodPatch, path, commit, nil); err != nil {
		return nil, err
	}
	if err := c.settle(ctx, app, d, before.BootError); err != nil {
		return nil, fmt.Errorf("application %s was updated and did not come back: %w", d.ID, err)
	}
	if err := c.unchanged(ctx, app, d, d.ComposeHash); err != nil {
		return nil, err
	}
	return d, nil
}

// offer hands the other file to the provider, who says what it would be hashed to.
func (c *Client) offer(ctx context.Context, app App, d *Deployment) error {
	var p Provisioned
	path := "/cvms/" + url.PathEscape(d.ID) + "/compose_file/provision"
	if err := c.call(ctx, http.MethodPost, path, app.Compose, &p); err != nil {
		return err
	}
	if id := strings.TrimPrefix(p.AppID, "app_"); id != "" && id != d.AppID {
		return fault.Mismatch("the provider would update another application", d.AppID, id)
	}
	return app.agrees(&p)
}

// settle waits until the CVM runs the new file. A boot error that was there
// before the update is not this one's.
func (c *Client) settle(ctx context.Context, app App, d *Deployment, before string) error {
	return c.poll(ctx, d.ID+" to run its new compose file", func() (bool, error) {
		state, err := c.State(ctx, d.ID)
		if err != nil {
			return false, retriable(err)
		}
		if state.BootError != before && state.BootError != "" {
			return false, state.ended(d.ID)
		}
		cvm, err := c.Get(ctx, d.ID)
		if err != nil || bare(cvm.ComposeHash) != d.ComposeHash || cvm.Progress != nil {
			return false, retriable(err)
		}
		d.URL = cvm.address(app.Port)
		return d.URL != "" && c.healthy(ctx, d.URL), nil
	})
}

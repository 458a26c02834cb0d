package dstack

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
)

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

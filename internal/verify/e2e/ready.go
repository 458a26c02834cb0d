package e2e

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/retry"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
)

const (
	// readyPatience bounds the wait for the policy: the service fetches it after
	// it began to listen, so "alive" comes before "ready".
	readyPatience = 3 * time.Minute
	maxHealth     = 64 << 10
)

// Ready waits until the service at url has its policy.
func Ready(ctx context.Context, client *http.Client, url string) error {
	ctx, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	var h wire.Health
	var failed error
	p := retry.Policy{First: 10 * time.Millisecond, Most: 5 * time.Second}
	if p.Until(ctx, "the policy of "+url, func() (bool, error) {
		h, failed = health(ctx, client, url)
		return failed == nil && h.PolicyReady, nil
	}) != nil {
		return &fault.Error{Code: fault.General, Message: "the key service has no policy", Err: failed,
			Expected: "policyReady in /health", Got: h.PolicyReason + " (" + h.PolicyURL + ")"}
	}
	return nil
}

func health(ctx context.Context, client *http.Client, url string) (wire.Health, error) {
	var h wire.Health
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/health", nil)
	if err != nil {
		return h, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return h, err
	}
	defer resp.Body.Close()                                       //nolint:errcheck // read side
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxHealth)) // to its end, or the connection is torn down under the next request
	if err != nil {
		return h, err
	}
	return h, json.Unmarshal(data, &h)
}

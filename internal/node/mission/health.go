package mission

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/retry"
	"github.com/calimero-network/mero-tee/internal/node/agent"
)

// Local is what runs beside the agent.
type Local struct {
	HTTP     http.RoundTripper // reaches agent.HealthURL, without a proxy
	Patience time.Duration     // until merod answers; 0: HealthPatience
}

// HealthPatience bounds the wait for merod's answer: merod fetches its key
// before it listens, and a failed start is tried again after five seconds.
const HealthPatience = 2 * time.Minute

const (
	healthDeadline = 5 * time.Second // of one question
	maxHealth      = 64 << 10
)

// health asks until merod is alive or the patience is over, and gives the last answer.
func (l Local) health(ctx context.Context) (out *agent.Health) {
	patience := l.Patience
	if patience == 0 {
		patience = HealthPatience
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	p := retry.Policy{First: 50 * time.Millisecond, Most: 2 * time.Second}
	_ = p.Until(ctx, "the node's health", func() (bool, error) { // that it ended is in what was answered last
		if got := l.ask(ctx); out == nil || ctx.Err() == nil { // a question that was cut off says nothing
			out = got
		}
		return out.Err() == nil, nil
	})
	return out
}

// ask is one question. No redirect is followed: traefik has no reason to send one.
func (l Local) ask(ctx context.Context) *agent.Health {
	ctx, cancel := context.WithTimeout(ctx, healthDeadline)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, agent.HealthURL, nil)
	if err != nil {
		return agent.NewHealth(0, "", err)
	}
	resp, err := l.HTTP.RoundTrip(req)
	if err != nil {
		return agent.NewHealth(0, "", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxHealth))
	var merod struct {
		Data struct {
			Status string `json:"status"`
		} `json:"data"`
	}
	if err == nil {
		err = json.Unmarshal(body, &merod)
	}
	return agent.NewHealth(resp.StatusCode, merod.Data.Status, err)
}

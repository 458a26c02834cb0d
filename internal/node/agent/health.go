package agent

import (
	"fmt"
	"net/http"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// Health is what merod answered when the agent asked it through traefik, as the
// world asks. It is the node's word: no quote holds it.
type Health struct {
	Status int    `json:"status"`          // of HTTP; 0: nobody answered
	State  string `json:"state,omitempty"` // merod's own word, see Alive
	Error  string `json:"error,omitempty"` // why there is no word of merod's
}

// HealthURL is what the agent asks: traefik's entry point, and its route to merod.
const HealthURL = "http://127.0.0.1/admin-api/health"

// NodeHostVariable names the host and port of the node's port 80 where several
// nodes share one machine, as in rehearsals; a real node has none.
const NodeHostVariable = "MERO_NODE_HOST"

// Alive is merod's word when its datastore answers.
const Alive = "alive"

// NewHealth describes an answer, or why there is none, in the form that a report takes.
func NewHealth(status int, state string, err error) *Health {
	h := &Health{Status: status, State: clean(state)}
	if err != nil {
		h.Error = describe(err)
	}
	return h
}

// Err is nil when merod is alive behind traefik; else it names who is down. Its code is Verification.
func (h *Health) Err() error {
	const expected = "200 and " + Alive + " from " + HealthURL
	wrong := func(message string) error {
		return fault.Mismatch(message, expected, fmt.Sprintf("status %d, %q: %s", h.Status, h.State, h.Error))
	}
	switch {
	case h == nil:
		return fault.Mismatch("the node does not say whether it answers", expected, "no health in its report")
	case h.Status == 0:
		return wrong("traefik is down: nobody answers on the node's port 80")
	case h.Status == http.StatusOK && h.State == Alive:
		return nil
	case h.State != "":
		return wrong("merod is not well")
	case h.Status == http.StatusBadGateway || h.Status == http.StatusServiceUnavailable ||
		h.Status == http.StatusGatewayTimeout: // what traefik says of a server that it does not reach
		return wrong("merod is down: traefik does not reach it")
	case h.Status == http.StatusNotFound:
		return wrong("traefik has no route to merod's health")
	}
	return wrong("what answers on the node's port 80 is not merod")
}

func (h *Health) check() error {
	if h == nil {
		return nil
	}
	if h.Status < 0 || h.Status > 999 {
		return fmt.Errorf("health: status %d", h.Status)
	}
	return checkTexts(h.State, h.Error)
}

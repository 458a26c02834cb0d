package agent_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/agent"
)

func TestHealthNamesWhoIsDown(t *testing.T) {
	t.Parallel()
	require.NoError(t, agent.NewHealth(200, "alive", nil).Err())
	bad := errors.New("invalid character 'B'")
	for name, tc := range map[string]struct {
		health *agent.Health
		want   string
	}{
		"not asked":              {nil, "the node does not say whether it answers"},
		"nobody listens":         {agent.NewHealth(0, "", errors.New("connection refused")), "traefik is down"},
		"traefik's own answer":   {agent.NewHealth(502, "", bad), "merod is down"},
		"no server":              {agent.NewHealth(503, "", bad), "merod is down"},
		"a server that hangs":    {agent.NewHealth(504, "", bad), "merod is down"},
		"no route":               {agent.NewHealth(404, "", bad), "no route"},
		"merod without its data": {agent.NewHealth(503, "store_unavailable", nil), "merod is not well"},
		"alive, with an error":   {agent.NewHealth(500, "alive", nil), "merod is not well"},
		"somebody else":          {agent.NewHealth(200, "", bad), "is not merod"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := tc.health.Err()
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, fault.Verification, fault.CodeOf(err))
		})
	}
}

// What answers on a node's port is repeated in its report, and must not break it.
func TestHealthInAReport(t *testing.T) {
	t.Parallel()
	r := full()
	r.Health = agent.NewHealth(502, "\x1b[2J"+strings.Repeat("x", 9<<10), errors.New("\a"))
	data, err := r.Encode()
	require.NoError(t, err)
	again, err := agent.DecodeReport(data)
	require.NoError(t, err)
	require.Equal(t, r, again)
	for _, h := range []agent.Health{{Status: -1}, {Status: 1000}, {State: "\x1b"}, {Error: strings.Repeat("x", 9<<10)}} {
		r.Health = &h
		_, err := r.Encode()
		require.Error(t, err, "%v", h)
	}
}

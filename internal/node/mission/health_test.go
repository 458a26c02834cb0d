package mission_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/node/mission"
)

// answers are what the node's port 80 says, one after the other; the last one again and again.
type answers []string

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	said := (*a)[0]
	if len(*a) > 1 {
		*a = (*a)[1:]
	}
	status, body, _ := strings.Cut(said, " ")
	code := map[string]int{"200": 200, "302": 302, "404": 404, "502": 502, "503": 503}[status]
	if code == 0 {
		return nil, errors.New(said)
	}
	return &http.Response{StatusCode: code, Body: io.NopCloser(strings.NewReader(body)), Request: r,
		Header: http.Header{"Location": {"http://elsewhere/"}}}, nil
}

const alive = `200 {"data":{"status":"alive"}}`

func TestTheNodesHealth(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		said answers
		want string
	}{
		"alive":                   {answers{alive}, ""},
		"merod starts later":      {answers{"connection refused", "502 Bad Gateway", alive}, ""},
		"traefik is down":         {answers{"connection refused"}, "traefik is down"},
		"merod is down":           {answers{"502 Bad Gateway"}, "merod is down"},
		"merod went down":         {answers{"connection refused", "502 Bad Gateway"}, "merod is down"},
		"no route":                {answers{"404 404 page not found"}, "no route"},
		"no datastore":            {answers{`503 {"data":{"status":"store_unavailable"}}`}, "merod is not well"},
		"a redirect is not taken": {answers{"302 Found"}, "is not merod"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.node.Local = mission.Local{HTTP: &tc.said, Patience: 3 * time.Second}
			r, err := w.accomplish(t, agent.Mission{Health: true})
			require.NoError(t, err, "health is judged by who asked")
			if tc.want == "" {
				require.NoError(t, r.Health.Err())
				return
			}
			require.ErrorContains(t, r.Health.Err(), tc.want)
		})
	}
}

// A node that proves nothing says all the same whether it answers; one that is not asked says nothing.
func TestHealthIsSaidWhenAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.node.Local.HTTP = &answers{alive}
	require.NoError(t, w.machine.TD.Extend(3, tdx.Register{1}))
	r, err := w.accomplish(t, agent.Mission{Health: true})
	require.ErrorContains(t, err, "extended before")
	require.NoError(t, r.Health.Err())
	r, _ = w.accomplish(t, agent.Mission{})
	require.Nil(t, r.Health)
}

// Who hangs takes no more than the patience, and the report still goes.
func TestANodeThatHangs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.node.Local = mission.Local{HTTP: hangs{}, Patience: 50 * time.Millisecond}
	r, err := w.accomplish(t, agent.Mission{Health: true})
	require.NoError(t, err)
	require.ErrorContains(t, r.Health.Err(), "traefik is down")
	require.Contains(t, r.Health.Error, context.DeadlineExceeded.Error())
}

type hangs struct{}

func (hangs) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

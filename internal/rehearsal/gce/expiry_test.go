package gce_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/calimero-network/mero-tee/internal/rehearsal/gce"
)

// bubble is a server whose time is the test's.
type bubble struct {
	*testing.T
	server *gce.Server
	token  string
}

// silence is a listener that nobody connects to.
type silence struct{ closed chan struct{} }

func (s silence) Accept() (net.Conn, error) { <-s.closed; return nil, net.ErrClosed }
func (s silence) Close() error              { close(s.closed); return nil }
func (silence) Addr() net.Addr              { return &net.UnixAddr{Name: "silence"} }

func newBubble(t *testing.T, m *machines) *bubble {
	s := newServer(t, gce.Options{State: t.TempDir(), Host: m})
	s.Listen(func() (net.Listener, error) { return silence{make(chan struct{})}, nil })
	key := s.Key()
	return &bubble{t, s, assertion(t, key, jose.RS256, map[string]any{"iss": "mero-tee@rehearsal.iam.gserviceaccount.com",
		"scope": "s",
		"iat":   time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()})}
}

func (b *bubble) do(method, path string, body proto.Message) *httptest.ResponseRecorder {
	b.Helper()
	data, err := protojson.Marshal(body)
	require.NoError(b, err)
	r := httptest.NewRequest(method, "https://compute.googleapis.com/compute/v1/projects/rehearsal/"+path,
		strings.NewReader(string(data)))
	r.Header.Set("Authorization", "Bearer "+b.token)
	w := httptest.NewRecorder()
	b.server.ServeHTTP(w, r)
	return w
}

func TestMaxRunDuration(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMachines()
		b := newBubble(t, m)
		in := vm("a")
		in.Disks = []*computepb.AttachedDisk{{Boot: new(true), AutoDelete: new(true), Source: new(path("disks", "d"))}}
		in.Scheduling = limited()
		require.Equal(t, http.StatusOK, b.do("POST", "zones/"+zone+"/disks",
			&computepb.Disk{Name: new("d"), SizeGb: new(int64(10))}).Code)
		synctest.Wait()
		answer := b.do("POST", "zones/"+zone+"/instances", in)
		require.Equal(t, http.StatusOK, answer.Code, answer.Body)
		time.Sleep(59 * time.Second)
		synctest.Wait()
		_, machine := m.last()
		require.False(t, machine.stopped())
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.True(t, machine.stopped())
		answer = b.do("GET", "zones/"+zone+"/instances/a", nil)
		require.Equal(t, http.StatusNotFound, answer.Code)
		require.Empty(t, b.server.Resources())
	})
}

// limited is a minute of running.
func limited() *computepb.Scheduling {
	return &computepb.Scheduling{MaxRunDuration: &computepb.Duration{Seconds: new(int64(60))},
		InstanceTerminationAction: new("DELETE")}
}

// A limit that has passed does nothing to what was deleted before.
func TestMaxRunDurationOfADeletedInstance(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, newMachines())
		in := vm("a")
		in.Disks = []*computepb.AttachedDisk{{Boot: new(true), Source: new(path("disks", "d"))}}
		in.Scheduling = limited()
		for _, call := range []func() *httptest.ResponseRecorder{
			func() *httptest.ResponseRecorder {
				return b.do("POST", "zones/"+zone+"/disks", &computepb.Disk{Name: new("d"), SizeGb: new(int64(10))})
			},
			func() *httptest.ResponseRecorder { return b.do("POST", "zones/"+zone+"/instances", in) },
			func() *httptest.ResponseRecorder { return b.do("DELETE", "zones/"+zone+"/instances/a", nil) },
		} {
			require.Equal(t, http.StatusOK, call().Code)
			synctest.Wait()
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, []string{path("disks", "d")}, b.server.Resources())
	})
}

// An operation that is not done is answered as it is when the time is up.
func TestAnOperationIsLookedForATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, newMachines())
		b.server.SetFaults(gce.Faults{Slow: map[string]time.Duration{"disks.insert": 400 * time.Millisecond}})
		var op computepb.Operation
		require.NoError(t, protojson.Unmarshal(b.do("POST", "zones/"+zone+"/disks",
			&computepb.Disk{Name: new("d"), SizeGb: new(int64(10))}).Body.Bytes(), &op))
		start := time.Now()
		for _, want := range []struct {
			after  time.Duration
			status string
		}{{250 * time.Millisecond, "RUNNING"}, {400 * time.Millisecond, "DONE"}} {
			require.NoError(t, protojson.Unmarshal(b.do("GET", "zones/"+zone+"/operations/"+op.GetName(), nil).Body.Bytes(),
				&op))
			require.Equal(t, want.after, time.Since(start))
			require.Equal(t, want.status, op.GetStatus().String())
		}
	})
}

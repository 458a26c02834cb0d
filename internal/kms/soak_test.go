package kms_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/hang"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
)

var soak = flag.Int("soak", 4000, "requests that TestSoak sends")

// shot is a request and the answer it must get.
type shot struct {
	path   string
	body   []byte
	status int
}

// mixed are good requests among all kinds of bad ones, half and half.
func (f *fleet) mixed(t testing.TB, n int) []shot {
	t.Helper()
	attest, err := json.Marshal(wire.AttestRequest{NonceB64: b64(make([]byte, 32))})
	require.NoError(t, err)
	var shots []shot
	for i, body := range f.requests(t, n) {
		switch i % 8 {
		case 0:
			body = spoil(t, body, func(r *wire.KeyRequest) { r.SignatureB64 = b64(make([]byte, 64)) })
			shots = append(shots, shot{"/get-key", body, 401})
		case 1:
			shots = append(shots, shot{"/get-key", body[:len(body)/2], 400})
			fallthrough // and then the whole of it
		case 2:
			shots = append(shots, shot{"/get-key", body, 200})
		case 3:
			shots = append(shots, shot{"/get-key",
				spoil(t, body, func(r *wire.KeyRequest) { r.ChallengeID = strings.Repeat("0", 32) }), 401},
				shot{"/get-key", body, 200})
		case 4:
			shots = append(shots, shot{"/attest", attest, 200}, shot{"/get-key", body, 200})
		case 5:
			shots = append(shots, shot{"/challenge", []byte(`{"peerId":"` + strings.Repeat("1", wire.MaxBody) + `"}`), 413},
				shot{"/get-key", body, 200})
		case 6:
			shots = append(shots, shot{"/get-key", []byte(`{"quoteB64":"%"}`), 400}, shot{"/get-key", body, 200})
		default:
			shots = append(shots, shot{"/nothing", nil, 404}, shot{"/get-key", body, 200})
		}
	}
	return shots
}

func spoil(t testing.TB, body []byte, change func(*wire.KeyRequest)) []byte {
	t.Helper()
	var r wire.KeyRequest
	require.NoError(t, json.Unmarshal(body, &r))
	change(&r)
	out, err := json.Marshal(r)
	require.NoError(t, err)
	return out
}

// send fires the shots over eight connections and counts answers that are not as they must be.
func (f *fleet) send(client *http.Client, shots []shot) (wrong int64) {
	var next, bad atomic.Int64
	var done sync.WaitGroup
	for range 8 {
		done.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(shots)); i = next.Add(1) - 1 {
				resp, err := client.Post(f.w.url+shots[i].path, "application/json", bytes.NewReader(shots[i].body))
				if err != nil {
					bad.Add(1)
					continue
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				if resp.StatusCode != shots[i].status {
					bad.Add(1)
				}
			}
		})
	}
	done.Wait()
	return bad.Load()
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // the second sweeps what finalizers of the first let go
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Mixed load leaves nothing behind. Not
// parallel: it measures the process. -soak=100000 takes minutes.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("sends thousands of requests")
	}
	const batch = 500
	w := newWorld(t, nil, "CHALLENGE_TTL_SECS=3600")
	f, client := newFleet(t, w, 512), clientOf(8)
	sent := 0
	run := func() {
		shots := f.mixed(t, batch)
		sent += len(shots)
		require.Zero(t, f.send(client, shots))
	}
	run() // connections, pools and collateral
	before, goroutines := heap(), runtime.NumGoroutine()
	for sent < *soak {
		run()
	}
	require.Less(t, heap(), before+4<<20, "the heap is flat, but for the challenges that were used")
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= goroutines+8 }, hang.Limit(t),
		10*time.Millisecond, "no goroutine is left")
	t.Logf("%d requests; heap %d KiB before, %d KiB after", sent, before>>10, heap()>>10)
}

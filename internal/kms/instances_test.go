package kms_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/kms"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/release"
)

// sharing are two key services of one operator behind one Redis.
func sharing(t *testing.T) (*kms.Redis, [2]*world) {
	t.Helper()
	server := kms.StartRedis(t)
	return server, [2]*world{newWorld(t, nil, "REDIS_URL="+server.URL), newWorld(t, nil, "REDIS_URL="+server.URL)}
}

func TestTwoServicesBehindOneRedisReleaseOneKey(t *testing.T) {
	t.Parallel()
	_, w := sharing(t)
	a := begin(t, w[0], w[0].node(t, "1.0.0", release.Debug))
	body, err := json.Marshal(a.request)
	require.NoError(t, err)
	ask := func(i int) int {
		resp, err := http.Post(w[i%2].url+"/get-key", "application/json", bytes.NewReader(body))
		if err != nil {
			return 0
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	var answers [64]int
	var start, done sync.WaitGroup
	start.Add(1)
	for i := range answers {
		done.Go(func() {
			start.Wait()
			answers[i] = ask(i)
		})
	}
	start.Done()
	done.Wait()
	keys := 0
	for i, status := range answers {
		if status == http.StatusOK {
			keys++
			continue
		}
		if status != http.StatusUnauthorized { // a busy machine's service or Redis had no time: it is asked again
			status = ask(i)
		}
		require.Equal(t, http.StatusUnauthorized, status)
	}
	require.Equal(t, 1, keys)
}

func TestRedisGoneAndBack(t *testing.T) {
	t.Parallel()
	server, w := sharing(t)
	a := begin(t, w[0], w[0].node(t, "1.0.0", release.Debug))
	server.Kill(t)
	for range 3 {
		status, said := post(t, w[1].url+"/get-key", a.request)
		require.Equal(t, http.StatusServiceUnavailable, status)
		require.Equal(t, wire.ChallengesUnavailable, said.Error)
	}
	require.True(t, health(t, w[1]).PolicyReady, "the service itself is alive")
	require.NotContains(t, w[1].logs.String(), "key released")

	server.Start(t)
	status, said := post(t, w[1].url+"/get-key", a.request)
	require.Equal(t, http.StatusOK, status, said.Details, "the challenge was not lost")
	status, said = post(t, w[0].url+"/get-key", a.request)
	require.Equal(t, http.StatusUnauthorized, status, "and not doubled")
	require.Equal(t, wire.InvalidChallenge, said.Error)
}

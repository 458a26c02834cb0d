package kms

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Redis is a server on loopback that forgets nothing it has acknowledged.
type Redis struct {
	URL     string
	program string
	args    []string
	cmd     *exec.Cmd
}

// StartRedis runs Debian's redis-server until the test ends, or skips the test.
func StartRedis(t testing.TB) *Redis {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("redis-server is not installed (Debian's package redis-server)")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().(*net.TCPAddr)
	require.NoError(t, l.Close())
	r := &Redis{URL: "redis://" + address.String() + "/0", program: program,
		args: []string{"--bind", "127.0.0.1", "--port", fmt.Sprint(address.Port), "--dir", t.TempDir(), "--save", "",
			"--appendonly", "yes", "--appendfsync", "always"}}
	r.Start(t)
	t.Cleanup(func() { r.Kill(t) })
	return r
}

// Start runs the server, again after Kill, with what it had acknowledged.
func (r *Redis) Start(t testing.TB) {
	t.Helper()
	var said bytes.Buffer
	r.cmd = exec.Command(r.program, r.args...) // not the test's context: Cleanup kills it, after the clients
	r.cmd.Stdout = &said
	require.NoError(t, r.cmd.Start())
	o, err := redis.ParseURL(r.URL)
	require.NoError(t, err)
	o.MaxRetries = -1
	client := redis.NewClient(o)
	defer client.Close()
	require.Eventually(t, func() bool { return client.Ping(t.Context()).Err() == nil }, 10*time.Second, 5*time.Millisecond,
		"redis-server does not answer")
}

// Kill ends the server as a power cut would.
func (r *Redis) Kill(t testing.TB) {
	t.Helper()
	require.NoError(t, r.cmd.Process.Kill())
	var killed *exec.ExitError
	require.ErrorAs(t, r.cmd.Wait(), &killed)
}

func redisStore(t testing.TB, server *Redis, ttl time.Duration) *redisChallenges {
	t.Helper()
	o, err := redis.ParseURL(server.URL)
	require.NoError(t, err)
	s := newRedisChallenges(Config{Redis: o, ChallengeTTL: ttl, Profile: release.Debug})
	t.Cleanup(func() { _ = s.close() })
	return s
}

func TestRedisChallengesAreUsedOnceByTheirPeer(t *testing.T) {
	t.Parallel()
	s := redisStore(t, StartRedis(t), time.Minute)
	c, err := s.issue(t.Context(), "owner")
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(time.Minute), c.expires, 5*time.Second)
	nonce, err := s.consume(t.Context(), c.id, "owner")
	require.NoError(t, err)
	require.Equal(t, c.nonce, nonce)
	_, err = s.consume(t.Context(), c.id, "owner")
	require.ErrorIs(t, err, errChallenge, "once")

	stolen, err := s.issue(t.Context(), "owner")
	require.NoError(t, err)
	require.NotEqual(t, c.id, stolen.id)
	require.NotEqual(t, c.nonce, stolen.nonce)
	_, err = s.consume(t.Context(), stolen.id, "thief")
	require.ErrorIs(t, err, errChallenge)
	_, err = s.consume(t.Context(), stolen.id, "owner")
	require.ErrorIs(t, err, errChallenge, "a wrong peer also consumes")

	n, err := s.pending(t.Context())
	require.NoError(t, err)
	require.Zero(t, n)
	keys, err := s.client.Keys(t.Context(), "*").Result()
	require.NoError(t, err)
	require.Empty(t, keys, "nothing is left of a used challenge")
}

func TestRedisChallengesExpire(t *testing.T) {
	t.Parallel()
	s := redisStore(t, StartRedis(t), 50*time.Millisecond)
	c, err := s.issue(t.Context(), "p")
	require.NoError(t, err)
	require.Eventually(t, func() bool { n, err := s.pending(t.Context()); return err == nil && n == 0 }, 5*time.Second,
		5*time.Millisecond)
	_, err = s.consume(t.Context(), c.id, "p")
	require.ErrorIs(t, err, errChallenge)
	require.Eventually(t, func() bool {
		keys, err := s.client.Keys(t.Context(), "*").Result()
		return err == nil && len(keys) == 0
	}, 5*time.Second, 5*time.Millisecond, "expired challenges leave nothing")
}

// A value may outlive its place in the sets by a millisecond, as Redis rounds
// the two moments differently: the sets decide.
func TestRedisChallengeEndsWithItsPlaceInTheSets(t *testing.T) {
	t.Parallel()
	s := redisStore(t, StartRedis(t), time.Minute)
	for name, end := range map[string]func(id string) error{
		"expired": func(id string) error {
			return s.client.ZAdd(t.Context(), s.all(),
				redis.Z{Score: float64(time.Now().Add(-time.Second).UnixMilli()), Member: id}).Err()
		},
		"forgotten": func(id string) error { return s.client.ZRem(t.Context(), s.all(), id).Err() },
	} {
		c, err := s.issue(t.Context(), "p")
		require.NoError(t, err)
		require.NoError(t, end(c.id), name)
		_, err = s.consume(t.Context(), c.id, "p")
		require.ErrorIs(t, err, errChallenge, name)
	}
}

func TestRedisChallengesAreLimited(t *testing.T) {
	t.Parallel()
	s := redisStore(t, StartRedis(t), time.Minute)
	s.inAll = 25
	var first *challenge
	for i := range 10 {
		c, err := s.issue(t.Context(), "greedy")
		require.NoError(t, err, i)
		first = c
	}
	_, err := s.issue(t.Context(), "greedy")
	var full *tooMany
	require.ErrorAs(t, err, &full)
	require.Equal(t, &tooMany{"for this peer", time.Minute}, full)
	for i := range 15 {
		_, err := s.issue(t.Context(), wire.PeerID(fmt.Sprint(i)))
		require.NoError(t, err)
	}
	_, err = s.issue(t.Context(), "one more")
	require.ErrorAs(t, err, &full)
	require.Equal(t, "in all", full.whose)
	require.Positive(t, full.retry)
	require.LessOrEqual(t, full.retry, time.Minute, "when the oldest expires")

	_, err = s.consume(t.Context(), first.id, "thief")
	require.ErrorIs(t, err, errChallenge)
	_, err = s.issue(t.Context(), "greedy")
	require.NoError(t, err, "a used challenge makes room, in all and for its peer")
}

func TestRedisProfilesDoNotMeet(t *testing.T) {
	t.Parallel()
	server := StartRedis(t)
	debug := redisStore(t, server, time.Minute)
	locked := newRedisChallenges(Config{Redis: debug.client.Options(), ChallengeTTL: time.Minute,
		Profile: release.LockedReadOnly})
	t.Cleanup(func() { _ = locked.close() })
	c, err := debug.issue(t.Context(), "p")
	require.NoError(t, err)
	_, err = locked.consume(t.Context(), c.id, "p")
	require.ErrorIs(t, err, errChallenge)
	_, err = debug.consume(t.Context(), c.id, "p")
	require.NoError(t, err)
}

func TestARecordThatIsNoneIsNoChallenge(t *testing.T) {
	t.Parallel()
	s := redisStore(t, StartRedis(t), time.Minute)
	for _, record := range []string{"p", "p 00", "p " + fmt.Sprintf("%064d", 0) + "0", " "} {
		require.NoError(t, s.client.Set(t.Context(), s.one("x"), record, 0).Err())
		pending := redis.Z{Score: float64(time.Now().Add(time.Minute).UnixMilli()), Member: "x"}
		require.NoError(t, s.client.ZAdd(t.Context(), s.all(), pending).Err())
		_, err := s.consume(t.Context(), "x", "p")
		require.ErrorContains(t, err, "malformed", record)
	}
}

// Stores of two instances, 64 clients: each challenge is accepted exactly once.
func TestTwoInstancesNeverAcceptOneChallengeTwice(t *testing.T) {
	t.Parallel()
	server := StartRedis(t)
	stores := []*redisChallenges{redisStore(t, server, time.Minute), redisStore(t, server, time.Minute)}
	for round := range 10 {
		c, err := stores[round%2].issue(t.Context(), "p")
		require.NoError(t, err)
		var accepted, refused atomic.Int32
		var start, done sync.WaitGroup
		start.Add(1)
		for i := range 64 {
			done.Go(func() {
				start.Wait()
				switch _, err := stores[i%2].consume(t.Context(), c.id, "p"); {
				case err == nil:
					accepted.Add(1)
				case errors.Is(err, errChallenge):
					refused.Add(1)
				}
			})
		}
		start.Done()
		done.Wait()
		require.EqualValues(t, 1, accepted.Load())
		require.EqualValues(t, 63, refused.Load())
	}
}

func TestAPasswordIsNotRepeated(t *testing.T) {
	t.Parallel()
	secret := url.UserPassword("user", "hunter2").String()
	_, err := Load([]string{"MERO_KMS_VERSION=1.2.0", "MERO_KMS_PROFILE=debug",
		"REDIS_URL=http://" + secret + "@host:port"}, "/nonexistent")
	require.ErrorContains(t, err, "REDIS_URL is malformed")
	require.NotContains(t, err.Error(), "hunter2")
	c, err := Load([]string{"MERO_KMS_VERSION=1.2.0", "MERO_KMS_PROFILE=debug",
		"REDIS_URL=rediss://" + secret + "@redis.example.com:6380/1"}, "/nonexistent")
	require.NoError(t, err)
	require.Equal(t, "redis.example.com", c.Redis.TLSConfig.ServerName)
}

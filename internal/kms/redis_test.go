package kms

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/hang"
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
	require.Eventually(t, func() bool { return client.Ping(t.Context()).Err() == nil }, hang.Limit(t),
		5*time.Millisecond, "redis-server does not answer")
}

// Kill ends the server as a power cut would.
func (r *Redis) Kill(t testing.TB) {
	t.Helper()
	require.NoError(t, r.cmd.Process.Kill())
	var killed *exec.ExitError
	require.ErrorAs(t, r.cmd.Wait(), &killed)
}

// sameKey is a platform on which all instances of an application derive one key.
type sameKey struct{ Guest }

func (sameKey) Key(_ context.Context, path, _ string) ([]byte, error) { return []byte(path), nil }

func shared(t testing.TB, server *Redis, profile release.Profile) *challenges {
	t.Helper()
	o, err := redis.ParseURL(server.URL)
	require.NoError(t, err)
	s := newChallenges(Config{Redis: o, ChallengeTTL: time.Minute, Profile: profile}, sameKey{}, time.Now)
	t.Cleanup(func() { _ = s.used.close() })
	return s
}

// Two instances, 64 clients: each challenge is spent exactly once.
func TestTwoInstancesNeverAcceptOneChallengeTwice(t *testing.T) {
	t.Parallel()
	server := StartRedis(t)
	instances := []*challenges{shared(t, server, release.Debug), shared(t, server, release.Debug)}
	for round := range 10 {
		c, err := instances[round%2].issue(t.Context(), "p")
		require.NoError(t, err)
		var accepted, refused atomic.Int32
		var start, done sync.WaitGroup
		start.Add(1)
		for i := range 64 {
			done.Go(func() {
				start.Wait()
				opened, err := instances[i%2].open(t.Context(), c.name(), "p")
				if err == nil {
					err = instances[i%2].spend(t.Context(), opened)
				}
				switch {
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
	n, err := instances[0].used.count(t.Context(), time.Now())
	require.NoError(t, err)
	require.Equal(t, 10, n)
}

// Redis remembers for longer than the challenge lives, for an instance whose clock is behind, and not for ever.
func TestRedisForgetsWhatExpired(t *testing.T) {
	t.Parallel()
	s := shared(t, StartRedis(t), release.Debug)
	c, err := s.issue(t.Context(), "p")
	require.NoError(t, err)
	require.NoError(t, s.spend(t.Context(), c))
	store := s.used.(*redisUsed)
	left, err := store.client.TTL(t.Context(), store.prefix+c.name()).Result()
	require.NoError(t, err)
	require.Greater(t, left, clockSkew)
	require.LessOrEqual(t, left, time.Minute+time.Second+clockSkew)
}

// "No challenge is ever accepted twice" does not rest on Redis' defaults, which forget in a crash.
func TestARedisThatMayForgetIsRefused(t *testing.T) {
	t.Parallel()
	server := StartRedis(t)
	o, err := redis.ParseURL(server.URL)
	require.NoError(t, err)
	operator := redis.NewClient(o)
	t.Cleanup(func() { _ = operator.Close() })
	for name, c := range map[string]struct{ setting, bad, good string }{
		"no log":                            {"appendonly", "no", "yes"},
		"a log of the second":               {"appendfsync", "everysec", "always"},
		"an evicting cache":                 {"maxmemory-policy", "allkeys-lru", "noeviction"},
		"no log while another child writes": {"no-appendfsync-on-rewrite", "yes", "no"},
	} {
		require.NoError(t, operator.ConfigSet(t.Context(), c.setting, c.bad).Err(), name)
		s := shared(t, server, release.Debug)
		challenge, err := s.issue(t.Context(), "p")
		require.NoError(t, err)
		err = s.spend(t.Context(), challenge)
		require.ErrorContains(t, err, `its `+c.setting+` is "`+c.bad+`"`, name)
		var no *refusal
		require.ErrorAs(t, refuseChallenge(err), &no)
		require.Equal(t, http.StatusServiceUnavailable, no.status)
		require.Contains(t, no.details, "this Redis may forget")
		require.NoError(t, operator.ConfigSet(t.Context(), c.setting, c.good).Err())
		require.NoError(t, s.spend(t.Context(), challenge), "it was not used up")
	}
	require.NoError(t, operator.Do(t.Context(), "ACL", "SETUSER", "blind", "on", ">pw", "~*", "+@all", "-config").Err())
	o.Username, o.Password = "blind", "pw"
	s := newChallenges(Config{Redis: o, ChallengeTTL: time.Minute, Profile: release.Debug}, sameKey{}, time.Now)
	t.Cleanup(func() { _ = s.used.close() })
	challenge, err := s.issue(t.Context(), "p")
	require.NoError(t, err)
	require.ErrorContains(t, s.spend(t.Context(), challenge), "it does not say")
}

// A replica that lets itself be written forgets that with its primary's next copy; so does the one that follows it.
func TestAReplicaIsRefused(t *testing.T) {
	t.Parallel()
	primary, replica := StartRedis(t), StartRedis(t)
	of, err := redis.ParseURL(primary.URL)
	require.NoError(t, err)
	o, err := redis.ParseURL(replica.URL)
	require.NoError(t, err)
	operator := redis.NewClient(o)
	t.Cleanup(func() { _ = operator.Close() })
	host, port, err := net.SplitHostPort(of.Addr)
	require.NoError(t, err)
	require.NoError(t, operator.ConfigSet(t.Context(), "replica-read-only", "no").Err())
	require.NoError(t, operator.ReplicaOf(t.Context(), host, port).Err())
	s := shared(t, replica, release.Debug)
	challenge, err := s.issue(t.Context(), "p")
	require.NoError(t, err)
	err = s.spend(t.Context(), challenge)
	require.ErrorContains(t, err, "it is a replica")
	var no *refusal
	require.ErrorAs(t, refuseChallenge(err), &no)
	require.Equal(t, http.StatusServiceUnavailable, no.status)
	require.NoError(t, operator.ReplicaOf(t.Context(), "NO", "ONE").Err())
	require.NoError(t, s.spend(t.Context(), challenge), "it was not used up")
}

// What an operator changes while connections are open is seen on the next ones, whatever REDIS_URL says of their life.
func TestConnectionsToRedisAreMadeAnew(t *testing.T) {
	t.Parallel()
	server := StartRedis(t)
	s := shared(t, server, release.Debug)
	for life, want := range map[string]time.Duration{"": connectionLife, "?conn_max_lifetime=24h": connectionLife,
		"?conn_max_lifetime=1ms": time.Millisecond} {
		o, err := redis.ParseURL(server.URL + life)
		require.NoError(t, err)
		store := newRedisUsed(Config{Redis: o, Profile: release.Debug})
		t.Cleanup(func() { _ = store.close() })
		require.Equal(t, want, store.client.Options().ConnMaxLifetime, life)
		if want == time.Millisecond {
			s.used = store
		}
	}
	spend := func() error {
		challenge, err := s.issue(t.Context(), "p")
		require.NoError(t, err)
		return s.spend(t.Context(), challenge)
	}
	require.NoError(t, spend())
	o, err := redis.ParseURL(server.URL)
	require.NoError(t, err)
	operator := redis.NewClient(o)
	t.Cleanup(func() { _ = operator.Close() })
	require.NoError(t, operator.ConfigSet(t.Context(), "appendfsync", "everysec").Err())
	require.Eventually(t, func() bool { return errors.As(spend(), new(*mayForget)) }, hang.Limit(t), time.Millisecond)
}

func TestAPasswordIsNotRepeated(t *testing.T) {
	t.Parallel()
	secret := url.UserPassword("user", "hunter2").String()
	_, err := Load([]string{"MERO_KMS_VERSION=1.2.0", "MERO_KMS_PROFILE=debug",
		"REDIS_URL=http://" + secret + "@host:port"}, "/nonexistent")
	require.ErrorContains(t, err, "REDIS_URL is malformed")
	require.NotContains(t, err.Error(), "hunter2")
	for _, address := range []string{"https://" + secret + "@host/p.json", "https://hunter2@host/p.json",
		"http://" + secret + "@host", "https://" + secret + "@ho st/", "https://host/%zz?token=hunter2",
		"file://hunter2@/p"} {
		for _, name := range []string{"MERO_KMS_POLICY_URL", "MERO_KMS_PCS_URL"} {
			_, err := Load([]string{"MERO_KMS_VERSION=1.2.0", "MERO_KMS_PROFILE=debug", name + "=" + address}, "/nonexistent")
			var f *fault.Error
			require.ErrorAs(t, err, &f)
			require.Equal(t, name+" is malformed", f.Message)
			require.NotContains(t, fmt.Sprint(err, f.Expected, f.Got, f.Hint), "hunter2")
		}
	}
	c, err := Load([]string{"MERO_KMS_VERSION=1.2.0", "MERO_KMS_PROFILE=debug",
		"REDIS_URL=rediss://" + secret + "@redis.example.com:6380/1"}, "/nonexistent")
	require.NoError(t, err)
	require.Equal(t, "redis.example.com", c.Redis.TLSConfig.ServerName)
}

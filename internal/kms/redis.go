package kms

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const (
	redisDial   = 2 * time.Second
	redisAnswer = time.Second
	// clockSkew is how much longer Redis remembers than the challenge lives, for instances whose clocks are behind.
	clockSkew = 5 * time.Minute
	// connectionLife is after how long Redis is asked again whether it keeps what it acknowledges: its operator may
	// change that while it runs.
	connectionLife = time.Minute
)

// redisUsed remembers answered challenges in a Redis that several instances share.
type redisUsed struct {
	client *redis.Client
	prefix string
}

func newRedisUsed(c Config) *redisUsed {
	o := *c.Redis
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = redisDial, redisAnswer, redisAnswer, redisAnswer
	o.MaxRetries, o.DialerRetries = -1, 1 // it is the node that asks again
	o.ContextTimeoutEnabled, o.DisableIdentity = true, true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	o.OnConnect = remembers
	if o.ConnMaxLifetime <= 0 || o.ConnMaxLifetime > connectionLife {
		o.ConnMaxLifetime = connectionLife
	}
	return &redisUsed{client: redis.NewClient(&o), prefix: "mero-kms:used:" + string(c.Profile) + ":"}
}

// mayForget is of a Redis that may lose in a crash what it has acknowledged. It wraps nothing: the client hands on only
// what an error wraps.
type mayForget struct{ why string }

const forgets = "this Redis may forget which challenges were used when it crashes; it needs appendonly yes, " +
	"appendfsync always, no-appendfsync-on-rewrite no and maxmemory-policy noeviction, and to be nobody's replica"

func (e *mayForget) Error() string { return forgets + "; " + e.why }

// remembers looks at each new connection whether Redis keeps what it acknowledges: "no challenge is ever accepted
// twice" would end with its first crash otherwise.
func remembers(ctx context.Context, conn *redis.Conn) error {
	for _, want := range [][2]string{
		{"appendonly", "yes"}, {"appendfsync", "always"}, {"maxmemory-policy", "noeviction"},
		{"no-appendfsync-on-rewrite", "no"}, // yes: what comes while it rewrites its log is not on disk
	} {
		said, err := conn.ConfigGet(ctx, want[0]).Result()
		switch {
		case err != nil:
			return unsaid(err)
		case said[want[0]] != want[1]:
			return &mayForget{fmt.Sprintf("its %s is %q", want[0], said[want[0]])}
		}
	}
	role, err := conn.Do(ctx, "ROLE").Slice()
	switch {
	case err != nil:
		return unsaid(err)
	case len(role) == 0 || role[0] != "master": // Redis' word; a replica's own writes go with its next copy
		return &mayForget{"it is a replica"}
	}
	return nil
}

// unsaid is the error of a question that Redis may forbid.
func unsaid(err error) error {
	var refused redis.Error
	if errors.As(err, &refused) {
		return &mayForget{"it does not say: " + err.Error()}
	}
	return err
}

// storeTrouble is what a caller may know of a store that failed.
func storeTrouble(err error) string {
	var may *mayForget
	if errors.As(err, &may) {
		return forgets
	}
	return "the store of used challenges does not answer"
}

func (s *redisUsed) add(ctx context.Context, c *challenge, now time.Time) error {
	once := redis.SetArgs{Mode: "NX", TTL: c.expires.Sub(now) + clockSkew}
	err := s.client.SetArgs(ctx, s.prefix+c.name(), "", once).Err()
	switch {
	case errors.Is(err, redis.Nil):
		return errChallenge
	case err != nil:
		return fmt.Errorf("redis: %w", err)
	}
	return nil
}

// count is what Redis holds in all: its own and what others may have put there.
func (s *redisUsed) count(ctx context.Context, _ time.Time) (int, error) {
	n, err := s.client.DBSize(ctx).Result()
	if err != nil {
		return 0, fmt.Errorf("redis: %w", err)
	}
	return int(n), nil
}

func (s *redisUsed) close() error { return s.client.Close() }

// RedisLog takes the lines of the Redis client, which has one logger per
// process: the program sets it, so that its log stays JSON.
type RedisLog struct{ Log *slog.Logger }

// Printf implements the logger of redis.SetLogger.
func (l RedisLog) Printf(ctx context.Context, format string, args ...any) {
	l.Log.WarnContext(ctx, "redis", "reason", fmt.Sprintf(format, args...))
}

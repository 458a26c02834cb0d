package kms

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/calimero-network/mero-tee/internal/kms/wire"
)

const (
	redisDial   = 2 * time.Second
	redisAnswer = time.Second
)

// redisChallenges keeps challenges in a Redis that several instances share. All
// keys of a profile carry one hash tag, so that a cluster keeps them together.
type redisChallenges struct {
	client         *redis.Client
	ttl            time.Duration
	prefix         string
	inAll, perPeer int
	scripts        redisScripts
}

func newRedisChallenges(c Config) *redisChallenges {
	o := *c.Redis
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = redisDial, redisAnswer, redisAnswer, redisAnswer
	o.MaxRetries, o.DialerRetries = -1, 1 // it is the node that asks again
	o.ContextTimeoutEnabled, o.DisableIdentity = true, true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return &redisChallenges{client: redis.NewClient(&o), ttl: c.ChallengeTTL,
		prefix: "mero-kms:{" + string(c.Profile) + "}:",
		inAll:  maxPending, perPeer: maxPendingPerPeer, scripts: newRedisScripts()}
}

// The keys: one value per challenge, and sets of IDs by expiry, of all and of each peer.
func (s *redisChallenges) one(name string) string   { return s.prefix + "challenge:" + name }
func (s *redisChallenges) all() string              { return s.prefix + "pending" }
func (s *redisChallenges) of(id wire.PeerID) string { return s.prefix + "peer:" + string(id) }

func (s *redisChallenges) issue(ctx context.Context, id wire.PeerID) (*challenge, error) {
	c := newChallenge(id)
	said, err := s.scripts.issue.Run(ctx, s.client, []string{s.all(), s.of(id), s.one(c.id)},
		c.id, string(id)+" "+hex.EncodeToString(c.nonce[:]), s.ttl.Milliseconds(), s.inAll, s.perPeer).Int64Slice()
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	if len(said) != 2 {
		return nil, fmt.Errorf("redis: %d values, not 2", len(said))
	}
	switch wait := time.Duration(said[1]) * time.Millisecond; said[0] {
	case issueFullInAll:
		return nil, &tooMany{"in all", wait}
	case issueFullForPeer:
		return nil, &tooMany{"for this peer", wait}
	}
	c.expires = time.UnixMilli(said[1])
	return c, nil
}

func (s *redisChallenges) consume(ctx context.Context, name string, id wire.PeerID) (nonce [32]byte, err error) {
	text, err := s.scripts.consume.Run(ctx, s.client, []string{s.one(name), s.all()}, name, s.prefix+"peer:").Text()
	if errors.Is(err, redis.Nil) {
		return nonce, errChallenge
	}
	if err != nil {
		return nonce, fmt.Errorf("redis: %w", err)
	}
	owner, digits, _ := strings.Cut(text, " ")
	raw, err := hex.DecodeString(digits)
	if err != nil || len(raw) != len(nonce) {
		return nonce, errors.New("redis: the challenge's record is malformed")
	}
	if owner != string(id) {
		return nonce, errChallenge
	}
	return [32]byte(raw), nil
}

func (s *redisChallenges) pending(ctx context.Context) (int, error) {
	n, err := s.scripts.pending.Run(ctx, s.client, []string{s.all()}).Int()
	if err != nil {
		return 0, fmt.Errorf("redis: %w", err)
	}
	return n, nil
}

func (s *redisChallenges) close() error { return s.client.Close() }

// RedisLog takes the lines of the Redis client, which has one logger per
// process: the program sets it, so that its log stays JSON.
type RedisLog struct{ Log *slog.Logger }

// Printf implements the logger of redis.SetLogger.
func (l RedisLog) Printf(ctx context.Context, format string, args ...any) {
	l.Log.WarnContext(ctx, "redis", "reason", fmt.Sprintf(format, args...))
}

// What the issue script answers first; the second value is then the
// challenge's end or, when there is no room, the wait, in milliseconds.
const (
	issueFullInAll   = 1
	issueFullForPeer = 2
)

// redisScripts run atomically and by Redis' own clock, so that instances need
// not agree on the time.
type redisScripts struct{ issue, consume, pending *redis.Script }

func newRedisScripts() redisScripts {
	return redisScripts{issue: redis.NewScript(forget + issueLua), consume: redis.NewScript(clock + consumeLua),
		pending: redis.NewScript(forget + pendingLua)}
}

// clock is the one moment, in milliseconds, that a script judges by.
const clock = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
`

// forget drops from a set the IDs whose challenges have expired.
const forget = clock + `
local function forget(set) redis.call('ZREMRANGEBYSCORE', set, '-inf', now) end
`

// KEYS: all, the peer's, the challenge. ARGV: ID, record, TTL in ms, limit in all, limit per peer.
const issueLua = `
forget(KEYS[1])
forget(KEYS[2])
local ttl = tonumber(ARGV[3])
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[4]) then
  return {1, redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2] - now}
end
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[5]) then return {2, ttl} end
redis.call('SET', KEYS[3], ARGV[2], 'PX', ttl)
for i = 1, 2 do
  redis.call('ZADD', KEYS[i], now + ttl, ARGV[1])
  redis.call('PEXPIRE', KEYS[i], ttl)
end
return {0, now + ttl}
`

// KEYS: the challenge, all. ARGV: ID, and what a peer's set begins with. The
// owner stands in the record, so that a thief's attempt also frees the owner's
// room. The set says when the challenge ends: the record's own expiry is rounded
// by another clock.
const consumeLua = `
local record = redis.call('GET', KEYS[1])
if not record then return false end
local ends = redis.call('ZSCORE', KEYS[2], ARGV[1])
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', ARGV[2] .. string.match(record, '^%S*'), ARGV[1])
if not ends or tonumber(ends) <= now then return false end
return record
`

const pendingLua = `
forget(KEYS[1])
return redis.call('ZCARD', KEYS[1])
`

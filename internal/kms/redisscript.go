package kms

import "github.com/redis/go-redis/v9"

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
	return redisScripts{issue: redis.NewScript(forget + issueLua), consume: redis.NewScript(clock + consumeLua), pending: redis.NewScript(forget + pendingLua)}
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

package kms

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/calimero-network/mero-tee/internal/kms/wire"
)

// challenge is one question that a peer may answer once, until it expires. It is nowhere kept before it is answered,
// so that nobody can fill a store with questions of others: its ID says what it is, under a key of the service.
//
//	ID    = expiry, seconds since 1970 (4 bytes) ‖ random (4 bytes) ‖ first 8 bytes of MAC("id" ‖ both ‖ peer ID)
//	nonce = MAC("nonce" ‖ ID ‖ peer ID), HMAC-SHA256
type challenge struct {
	id      [16]byte
	peer    wire.PeerID
	nonce   [32]byte
	expires time.Time
}

// name is the ID in 32 hex digits, as it stands on the wire.
func (c *challenge) name() string { return hex.EncodeToString(c.id[:]) }

const seal = 8 // where the MAC begins in an ID

// challenges makes them, knows its own again, and remembers which were answered.
type challenges struct {
	ttl  time.Duration
	now  func() time.Time
	key  func(context.Context) ([]byte, error) // of the MACs, the same for all instances that share answered ones
	used usedStore
}

// usedStore remembers what was answered until it has expired.
type usedStore interface {
	// add returns errChallenge for an ID that is there, and a *tooMany when there is no room.
	add(ctx context.Context, c *challenge, now time.Time) error
	count(ctx context.Context, now time.Time) (int, error)
	close() error
}

// challengeKeyPath is what dstack derives the MACs' key for: instances of one application, which have the same, share
// their answered challenges in Redis. An instance alone takes a key that dies with it, as its memory does.
const (
	challengeKeyPath    = "mero-kms/challenge/v1"
	challengeKeyPurpose = "challenge"
)

func newChallenges(c Config, guest Guest, now func() time.Time) *challenges {
	s := &challenges{ttl: c.ChallengeTTL, now: now}
	if c.Redis != nil {
		s.used, s.key = newRedisUsed(c), derived(guest)
		return s
	}
	var own [32]byte
	_, _ = rand.Read(own[:]) // crypto/rand never fails (Go 1.24)
	s.used, s.key = newUsed(), func(context.Context) ([]byte, error) { return own[:], nil }
	return s
}

// derived asks the platform once for the key; what failed is asked again.
func derived(guest Guest) func(context.Context) ([]byte, error) {
	return once(func(ctx context.Context) ([]byte, error) {
		return guest.Key(ctx, challengeKeyPath, challengeKeyPurpose)
	})
}

// once keeps what get gave the first time without an error.
func once[T any](get func(context.Context) (T, error)) func(context.Context) (T, error) {
	var kept atomic.Pointer[T]
	return func(ctx context.Context) (T, error) {
		if v := kept.Load(); v != nil {
			return *v, nil
		}
		v, err := get(ctx)
		if err == nil {
			kept.Store(&v)
		}
		return v, err
	}
}

// issue makes a challenge for the peer; it lives for the TTL, and to the end of that second.
func (s *challenges) issue(ctx context.Context, peer wire.PeerID) (*challenge, error) {
	key, err := s.key(ctx)
	if err != nil {
		return nil, noChallengeKey(err)
	}
	c := &challenge{peer: peer}
	_, _ = rand.Read(c.id[4:seal])
	ends := s.now().Add(s.ttl + time.Second - 1).Unix()
	binary.BigEndian.PutUint32(c.id[:4], uint32(ends)) //nolint:gosec // until 2106
	copy(c.id[seal:], c.mac(key, "id", c.id[:seal]))
	c.derive(key)
	return c, nil
}

// open knows a challenge of ours again by its name: made for this peer, and not expired.
func (s *challenges) open(ctx context.Context, name string, peer wire.PeerID) (*challenge, error) {
	key, err := s.key(ctx)
	if err != nil {
		return nil, noChallengeKey(err)
	}
	c := &challenge{peer: peer}
	if !wire.IsChallengeID(name) {
		return nil, errChallenge
	}
	_, _ = hex.Decode(c.id[:], []byte(name)) // 32 digits
	if !hmac.Equal(c.id[seal:], c.mac(key, "id", c.id[:seal])[:len(c.id)-seal]) {
		return nil, errChallenge
	}
	if c.derive(key); !s.now().Before(c.expires) {
		return nil, errChallenge
	}
	return c, nil
}

// spend uses the challenge up; a second time it is errChallenge. It may have expired since it was opened, and who
// answered it in time is remembered only until then.
func (s *challenges) spend(ctx context.Context, c *challenge) error {
	now := s.now()
	if !now.Before(c.expires) {
		return errChallenge
	}
	return s.used.add(ctx, c, now)
}

// derive says what follows from the ID.
func (c *challenge) derive(key []byte) {
	c.expires = time.Unix(int64(binary.BigEndian.Uint32(c.id[:4])), 0)
	c.nonce = [32]byte(c.mac(key, "nonce", c.id[:]))
}

// mac is over parts of which only the last has no fixed length for its domain.
func (c *challenge) mac(key []byte, domain string, id []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte("mero-kms challenge " + domain + "\x00"))
	h.Write(id)
	h.Write([]byte(c.peer))
	return h.Sum(nil)
}

func noChallengeKey(err error) error {
	return refuse(http.StatusInternalServerError, wire.KeyDerivationFailed, "the platform gave no key for challenges").
		because(err)
}

// tooMany says when there may be room again.
type tooMany struct{ retry time.Duration }

func (e *tooMany) Error() string { return "too many answered challenges are remembered" }

// errChallenge does not say which of the reasons it was: a stranger learns nothing about another's challenge.
var errChallenge = errors.New("the challenge is unknown, expired, used, or another peer's")

// refuseChallenge maps what becomes of a challenge to the wire format's answers.
func refuseChallenge(err error) error {
	var full *tooMany
	var no *refusal
	switch {
	case errors.As(err, &no):
		return no
	case errors.As(err, &full):
		no = refuse(http.StatusTooManyRequests, wire.RateLimited, "%v", full)
		no.retryAfter = full.retry
		return no
	case errors.Is(err, errChallenge):
		return refuse(http.StatusUnauthorized, wire.InvalidChallenge, "%v", err)
	}
	no = refuse(http.StatusServiceUnavailable, wire.ChallengesUnavailable, "%s", storeTrouble(err)).because(err)
	no.retryAfter = firstRetry
	return no
}

// maxUsed bounds what one instance remembers. Only a genuine quote uses a challenge up, so it takes that many keys
// within one lifetime of a challenge, not that many strangers.
const maxUsed = 100_000

// used remembers answered challenges in memory. Those that expired are looked for at most once a second.
type used struct {
	mu    sync.Mutex
	until map[[16]byte]time.Time
	swept time.Time
	room  int
}

func newUsed() *used { return &used{until: map[[16]byte]time.Time{}, room: maxUsed} }

func (u *used) add(_ context.Context, c *challenge, now time.Time) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, there := u.until[c.id]; there {
		return errChallenge
	}
	if now.Sub(u.swept) >= time.Second {
		u.sweep(now)
	}
	if len(u.until) >= u.room {
		return fmt.Errorf("in memory: %w", &tooMany{retry: time.Second})
	}
	u.until[c.id] = c.expires
	return nil
}

func (u *used) sweep(now time.Time) {
	u.swept = now
	for id, end := range u.until {
		if !now.Before(end) {
			delete(u.until, id)
		}
	}
}

func (u *used) count(_ context.Context, now time.Time) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.sweep(now)
	return len(u.until), nil
}

func (*used) close() error { return nil }

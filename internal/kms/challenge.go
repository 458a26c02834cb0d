package kms

import (
	"container/list"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/calimero-network/mero-tee/internal/kms/wire"
)

const (
	maxPending        = 10_000 // challenges pending in all
	maxPendingPerPeer = 10     // challenges pending for one peer
)

// challenge is one question a peer may answer once, until it expires.
type challenge struct {
	id      string // 32 hex digits
	peer    wire.PeerID
	nonce   [32]byte
	expires time.Time
}

func newChallenge(id wire.PeerID) *challenge {
	c := &challenge{peer: id}
	var name [16]byte
	_, _ = rand.Read(name[:]) // crypto/rand never fails (Go 1.24)
	_, _ = rand.Read(c.nonce[:])
	c.id = hex.EncodeToString(name[:])
	return c
}

// challengeStore remembers pending challenges. Each is taken out by the first
// attempt to use it, whatever becomes of that attempt.
type challengeStore interface {
	// issue makes a challenge for the peer, or returns a *tooMany.
	issue(ctx context.Context, id wire.PeerID) (*challenge, error)
	// consume takes the challenge out and returns its nonce if it was this
	// peer's and still valid; else errChallenge.
	consume(ctx context.Context, name string, id wire.PeerID) ([32]byte, error)
	pending(ctx context.Context) (int, error)
	close() error
}

func newChallengeStore(c Config, now func() time.Time) challengeStore {
	if c.Redis == nil {
		return newChallenges(c.ChallengeTTL, now)
	}
	return newRedisChallenges(c)
}

// tooMany says when the next challenge may be had.
type tooMany struct {
	whose string
	retry time.Duration
}

func (e *tooMany) Error() string { return fmt.Sprintf("too many challenges are pending %s", e.whose) }

// errChallenge does not say which of the reasons it was: a stranger learns nothing about another's challenge.
var errChallenge = errors.New("the challenge is unknown, expired, used, or another peer's")

// refuseChallenge maps what a store says to the wire format's answers.
func refuseChallenge(err error) error {
	var full *tooMany
	switch {
	case errors.As(err, &full):
		no := refuse(http.StatusTooManyRequests, wire.RateLimited, "%v", full)
		no.retryAfter = full.retry
		return no
	case errors.Is(err, errChallenge):
		return refuse(http.StatusUnauthorized, wire.InvalidChallenge, "%v", err)
	}
	no := refuse(http.StatusServiceUnavailable, wire.ChallengesUnavailable, "the store of challenges does not answer").
		because(err)
	no.retryAfter = firstRetry
	return no
}

// challenges remembers pending challenges in memory. As all live equally long,
// the oldest expires first and stands at the front of the queue.
type challenges struct {
	ttl     time.Duration
	now     func() time.Time
	mu      sync.Mutex
	queue   *list.List // of *challenge
	byID    map[string]*list.Element
	perPeer map[wire.PeerID]int
}

func newChallenges(ttl time.Duration, now func() time.Time) *challenges {
	return &challenges{ttl: ttl, now: now, queue: list.New(), byID: map[string]*list.Element{},
		perPeer: map[wire.PeerID]int{}}
}

func (s *challenges) issue(_ context.Context, id wire.PeerID) (*challenge, error) {
	c := newChallenge(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.expire(now)
	if err := s.room(id, now); err != nil {
		return nil, err
	}
	c.expires = now.Add(s.ttl)
	s.byID[c.id] = s.queue.PushBack(c)
	s.perPeer[id]++
	return c, nil
}

// room promises no more than it knows: a peer's own challenges are all gone after one TTL.
func (s *challenges) room(id wire.PeerID, now time.Time) error {
	switch {
	case len(s.byID) >= maxPending:
		return &tooMany{"in all", s.queue.Front().Value.(*challenge).expires.Sub(now)}
	case s.perPeer[id] >= maxPendingPerPeer:
		return &tooMany{"for this peer", s.ttl}
	}
	return nil
}

func (s *challenges) consume(_ context.Context, name string, id wire.PeerID) ([32]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.byID[name]
	if !ok {
		return [32]byte{}, errChallenge
	}
	s.remove(e)
	c := e.Value.(*challenge)
	if c.peer != id || !s.now().Before(c.expires) {
		return [32]byte{}, errChallenge
	}
	return c.nonce, nil
}

func (s *challenges) pending(context.Context) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(s.now())
	return len(s.byID), nil
}

func (*challenges) close() error { return nil }

func (s *challenges) expire(now time.Time) {
	for e := s.queue.Front(); e != nil && !now.Before(e.Value.(*challenge).expires); e = s.queue.Front() {
		s.remove(e)
	}
}

func (s *challenges) remove(e *list.Element) {
	c := s.queue.Remove(e).(*challenge)
	delete(s.byID, c.id)
	if s.perPeer[c.peer]--; s.perPeer[c.peer] == 0 {
		delete(s.perPeer, c.peer)
	}
}

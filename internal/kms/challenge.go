package kms

import (
	"container/list"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/calimero-network/mero-tee/internal/peer"
)

const (
	maxPending        = 10_000 // challenges pending in all
	maxPendingPerPeer = 10     // challenges pending for one peer
)

// challenge is one question a peer may answer once, until it expires.
type challenge struct {
	id      string // 32 hex digits
	peer    peer.ID
	nonce   [32]byte
	expires time.Time
}

// tooMany says when the next challenge may be had.
type tooMany struct {
	whose string
	retry time.Duration
}

func (e *tooMany) Error() string { return fmt.Sprintf("too many challenges are pending %s", e.whose) }

// challenges remembers pending challenges in memory. Each is taken out by the
// first attempt to use it, whatever becomes of that attempt. As all live
// equally long, the oldest expires first and stands at the front of the queue.
type challenges struct {
	ttl     time.Duration
	now     func() time.Time
	mu      sync.Mutex
	queue   *list.List // of *challenge
	pending map[string]*list.Element
	perPeer map[peer.ID]int
}

func newChallenges(ttl time.Duration, now func() time.Time) *challenges {
	return &challenges{ttl: ttl, now: now, queue: list.New(), pending: map[string]*list.Element{}, perPeer: map[peer.ID]int{}}
}

// issue makes a challenge for the peer, or returns a *tooMany.
func (s *challenges) issue(id peer.ID) (*challenge, error) {
	c := &challenge{peer: id}
	var name [16]byte
	_, _ = rand.Read(name[:]) // crypto/rand never fails (Go 1.24)
	_, _ = rand.Read(c.nonce[:])
	c.id = hex.EncodeToString(name[:])

	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.expire(now)
	if err := s.room(id, now); err != nil {
		return nil, err
	}
	c.expires = now.Add(s.ttl)
	s.pending[c.id] = s.queue.PushBack(c)
	s.perPeer[id]++
	return c, nil
}

// room promises no more than it knows: a peer's own challenges are all gone after one TTL.
func (s *challenges) room(id peer.ID, now time.Time) error {
	switch {
	case len(s.pending) >= maxPending:
		return &tooMany{"in all", s.queue.Front().Value.(*challenge).expires.Sub(now)}
	case s.perPeer[id] >= maxPendingPerPeer:
		return &tooMany{"for this peer", s.ttl}
	}
	return nil
}

// errChallenge does not say which of the reasons it was: a stranger learns nothing about another's challenge.
var errChallenge = errors.New("the challenge is unknown, expired, used, or another peer's")

// consume takes the challenge out and returns its nonce if it was this peer's and still valid.
func (s *challenges) consume(name string, id peer.ID) ([32]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.pending[name]
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

func (s *challenges) expire(now time.Time) {
	for e := s.queue.Front(); e != nil && !now.Before(e.Value.(*challenge).expires); e = s.queue.Front() {
		s.remove(e)
	}
}

func (s *challenges) remove(e *list.Element) {
	c := s.queue.Remove(e).(*challenge)
	delete(s.pending, c.id)
	if s.perPeer[c.peer]--; s.perPeer[c.peer] == 0 {
		delete(s.perPeer, c.peer)
	}
}

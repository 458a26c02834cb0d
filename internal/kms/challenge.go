package kms

import (
	"container/list"
	"context"
	"sync"
	"time"

	"github.com/calimero-network/mero-tee/internal/kms/wire"
)

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
	return &challenges{ttl: ttl, now: now, queue: list.New(), byID: map[string]*list.Element{}, perPeer: map[wire.PeerID]int{}}
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

package kms

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
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
	no := refuse(http.StatusServiceUnavailable, wire.ChallengesUnavailable, "the store of challenges does not answer").because(err)
	no.retryAfter = firstRetry
	return no
}

package kms

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/peer"
)

func TestChallengesAreLimitedInAll(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000, 0)
	s := newChallenges(time.Minute, func() time.Time { return now })
	first, err := s.issue("first")
	require.NoError(t, err)
	now = now.Add(10 * time.Second)
	for i := range maxPending - 1 {
		_, err := s.issue(peer.ID(fmt.Sprint(i)))
		require.NoError(t, err)
	}
	_, err = s.issue("one more")
	var full *tooMany
	require.ErrorAs(t, err, &full)
	require.Equal(t, 50*time.Second, full.retry, "when the oldest expires")

	_, err = s.consume(first.id, "first")
	require.NoError(t, err)
	_, err = s.issue("one more")
	require.NoError(t, err, "a used challenge makes room")

	now = now.Add(time.Minute)
	_, err = s.issue("last")
	require.NoError(t, err)
	require.Len(t, s.pending, 1, "expired challenges are forgotten")
	require.Len(t, s.perPeer, 1)
	require.Equal(t, 1, s.queue.Len())
}

func TestChallengesDiffer(t *testing.T) {
	t.Parallel()
	s := newChallenges(time.Minute, time.Now)
	a, err := s.issue("p")
	require.NoError(t, err)
	b, err := s.issue("p")
	require.NoError(t, err)
	require.NotEqual(t, a.id, b.id)
	require.NotEqual(t, a.nonce, b.nonce)
	require.NotEqual(t, [32]byte{}, a.nonce)
}

func TestAWrongPeerAlsoConsumes(t *testing.T) {
	t.Parallel()
	s := newChallenges(time.Minute, time.Now)
	c, err := s.issue("owner")
	require.NoError(t, err)
	_, err = s.consume(c.id, "thief")
	require.ErrorIs(t, err, errChallenge)
	_, err = s.consume(c.id, "owner")
	require.ErrorIs(t, err, errChallenge)
	require.Empty(t, s.perPeer)
}

func TestAChallengeExpiresAtItsTime(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000, 0)
	s := newChallenges(time.Minute, func() time.Time { return now })
	early, err := s.issue("p")
	require.NoError(t, err)
	late, err := s.issue("p")
	require.NoError(t, err)
	now = now.Add(time.Minute - 1)
	nonce, err := s.consume(early.id, "p")
	require.NoError(t, err)
	require.Equal(t, early.nonce, nonce)
	now = now.Add(1)
	_, err = s.consume(late.id, "p")
	require.ErrorIs(t, err, errChallenge)
}

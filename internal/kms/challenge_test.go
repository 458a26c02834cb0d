package kms

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/kms/wire"
)

func TestChallengesAreLimitedInAll(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000, 0)
	s := newChallenges(time.Minute, func() time.Time { return now })
	first, err := s.issue(t.Context(), "first")
	require.NoError(t, err)
	now = now.Add(10 * time.Second)
	for i := range maxPending - 1 {
		_, err := s.issue(t.Context(), wire.PeerID(fmt.Sprint(i)))
		require.NoError(t, err)
	}
	_, err = s.issue(t.Context(), "one more")
	var full *tooMany
	require.ErrorAs(t, err, &full)
	require.Equal(t, 50*time.Second, full.retry, "when the oldest expires")

	_, err = s.consume(t.Context(), first.id, "first")
	require.NoError(t, err)
	_, err = s.issue(t.Context(), "one more")
	require.NoError(t, err, "a used challenge makes room")

	now = now.Add(time.Minute)
	_, err = s.issue(t.Context(), "last")
	require.NoError(t, err)
	require.Len(t, s.byID, 1, "expired challenges are forgotten")
	require.Len(t, s.perPeer, 1)
	require.Equal(t, 1, s.queue.Len())
}

func TestChallengesDiffer(t *testing.T) {
	t.Parallel()
	s := newChallenges(time.Minute, time.Now)
	a, err := s.issue(t.Context(), "p")
	require.NoError(t, err)
	b, err := s.issue(t.Context(), "p")
	require.NoError(t, err)
	require.NotEqual(t, a.id, b.id)
	require.NotEqual(t, a.nonce, b.nonce)
	require.NotEqual(t, [32]byte{}, a.nonce)
}

func TestAWrongPeerAlsoConsumes(t *testing.T) {
	t.Parallel()
	s := newChallenges(time.Minute, time.Now)
	c, err := s.issue(t.Context(), "owner")
	require.NoError(t, err)
	_, err = s.consume(t.Context(), c.id, "thief")
	require.ErrorIs(t, err, errChallenge)
	_, err = s.consume(t.Context(), c.id, "owner")
	require.ErrorIs(t, err, errChallenge)
	require.Empty(t, s.perPeer)
}

func TestAChallengeExpiresAtItsTime(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000, 0)
	s := newChallenges(time.Minute, func() time.Time { return now })
	early, err := s.issue(t.Context(), "p")
	require.NoError(t, err)
	late, err := s.issue(t.Context(), "p")
	require.NoError(t, err)
	now = now.Add(time.Minute - 1)
	nonce, err := s.consume(t.Context(), early.id, "p")
	require.NoError(t, err)
	require.Equal(t, early.nonce, nonce)
	now = now.Add(1)
	_, err = s.consume(t.Context(), late.id, "p")
	require.ErrorIs(t, err, errChallenge)
}

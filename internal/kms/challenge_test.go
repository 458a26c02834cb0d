package kms

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/kms/wire"
)

// clocked are challenges of one instance alone, whose clock the test moves.
func clocked(now *time.Time) *challenges {
	return newChallenges(Config{ChallengeTTL: time.Minute}, nil, func() time.Time { return *now })
}

func TestAChallengeIsSpentOnceByItsPeer(t *testing.T) {
	t.Parallel()
	s := newChallenges(Config{ChallengeTTL: time.Minute}, nil, time.Now)
	c, err := s.issue(t.Context(), "owner")
	require.NoError(t, err)
	require.True(t, wire.IsChallengeID(c.name()))
	_, err = s.open(t.Context(), c.name(), "thief")
	require.ErrorIs(t, err, errChallenge)
	for range 2 {
		again, err := s.open(t.Context(), c.name(), "owner")
		require.NoError(t, err, "looking at it does not use it up, nor did the thief")
		require.Equal(t, c, again)
	}
	require.NoError(t, s.spend(t.Context(), c))
	require.ErrorIs(t, s.spend(t.Context(), c), errChallenge)
}

func TestChallengesDiffer(t *testing.T) {
	t.Parallel()
	s := newChallenges(Config{ChallengeTTL: time.Minute}, nil, time.Now)
	names, nonces := map[string]bool{}, map[[32]byte]bool{{}: true}
	for _, peer := range []wire.PeerID{"p", "p", "q", "p"} {
		c, err := s.issue(t.Context(), peer)
		require.NoError(t, err)
		require.False(t, names[c.name()] || nonces[c.nonce])
		names[c.name()], nonces[c.nonce] = true, true
	}
	other := newChallenges(Config{ChallengeTTL: time.Minute}, nil, time.Now)
	for name := range names {
		_, err := other.open(t.Context(), name, "p")
		require.ErrorIs(t, err, errChallenge, "another instance alone has another key")
	}
}

// Every byte of an ID is held by its MAC: who changes the expiry does not live longer.
func TestAChallengeThatWasChangedIsNone(t *testing.T) {
	t.Parallel()
	s := newChallenges(Config{ChallengeTTL: time.Minute}, nil, time.Now)
	c, err := s.issue(t.Context(), "p")
	require.NoError(t, err)
	for i := range c.id {
		changed := c.id
		changed[i] ^= 1
		_, err := s.open(t.Context(), hex.EncodeToString(changed[:]), "p")
		require.ErrorIs(t, err, errChallenge, "byte %d", i)
	}
	for _, name := range []string{"", c.name()[1:], c.name() + "00", strings.Repeat("0", 32), strings.Repeat("z", 32)} {
		_, err := s.open(t.Context(), name, "p")
		require.ErrorIs(t, err, errChallenge, name)
	}
}

func TestAChallengeExpiresAtItsTime(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000, 500)
	s := clocked(&now)
	c, err := s.issue(t.Context(), "p")
	require.NoError(t, err)
	require.Equal(t, time.Unix(1_061, 0), c.expires, "the second is lived to its end")
	now = c.expires.Add(-1)
	_, err = s.open(t.Context(), c.name(), "p")
	require.NoError(t, err)
	now = c.expires
	_, err = s.open(t.Context(), c.name(), "p")
	require.ErrorIs(t, err, errChallenge)
}

// Two requests open a challenge in time, and the second one's quote is verified only after it has expired and the
// first was forgotten.
func TestAChallengeIsNotSpentAfterItsTime(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000, 0)
	s := clocked(&now)
	c, err := s.issue(t.Context(), "p")
	require.NoError(t, err)
	again, err := s.open(t.Context(), c.name(), "p")
	require.NoError(t, err)
	require.NoError(t, s.spend(t.Context(), c))
	now = c.expires
	n, err := s.used.count(t.Context(), now)
	require.NoError(t, err)
	require.Zero(t, n, "the first is forgotten")
	require.ErrorIs(t, s.spend(t.Context(), again), errChallenge)
}

func TestUsedChallengesAreForgottenWhenTheyExpire(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000, 0)
	s := clocked(&now)
	u := newUsed()
	s.used, u.room = u, 3
	spend := func() (*challenge, error) {
		c, err := s.issue(t.Context(), "p")
		require.NoError(t, err)
		return c, s.spend(t.Context(), c)
	}
	for range 3 {
		_, err := spend()
		require.NoError(t, err)
	}
	now = now.Add(30 * time.Second)
	c, err := spend()
	var full *tooMany
	require.ErrorAs(t, err, &full)
	require.Equal(t, time.Second, full.retry)
	now = now.Add(30 * time.Second)
	require.NoError(t, s.spend(t.Context(), c), "there is room again, and this one was not used")
	now = now.Add(30 * time.Second)
	_, err = spend()
	require.NoError(t, err)
	n, err := u.count(t.Context(), now)
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

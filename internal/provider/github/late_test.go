package github_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	rehearsal "github.com/calimero-network/mero-tee/internal/rehearsal/github"
)

func late(o *rehearsal.Options) { o.Prompt = false }

// GitHub lists an asset that some of its machines do not serve yet.
func TestADownloadOfWhatIsListedIsWaitedFor(t *testing.T) {
	t.Parallel()
	for _, token := range []string{token, ""} {
		w := newWorld(t, nil, late)
		w.public("v1", "a.json", "{}\n")
		c := w.client(token)
		var rel *github.Release
		require.NoError(t, c.Await(t.Context(), "v1", func() (ok bool, err error) {
			rel, err = c.ReleaseByTag(t.Context(), "v1")
			return err == nil, err
		}))
		var got bytes.Buffer
		w.waits = nil
		require.NoError(t, c.Download(t.Context(), rel.Assets[0], &got))
		require.Equal(t, "{}\n", got.String())
		require.Equal(t, []time.Duration{50 * time.Millisecond, 100 * time.Millisecond}, w.waits)
	}
}

func TestAwait(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, late)
	c := w.client(token)
	w.public("v1", "a.json", "{}\n")
	_, err := c.ReleaseByTag(t.Context(), "v1")
	require.ErrorIs(t, err, github.ErrNotFound)
	found := func(tag string) func() (bool, error) {
		return func() (bool, error) {
			_, err := c.ReleaseByTag(t.Context(), tag)
			return err == nil, err
		}
	}
	require.NoError(t, c.Await(t.Context(), "v1", found("v1")))
	require.Len(t, w.waits, 1)

	w.waits = nil
	err = c.Await(t.Context(), "the publication of v2", found("v2"))
	require.ErrorIs(t, err, github.ErrNotFound)
	var told *fault.Error
	require.ErrorAs(t, err, &told)
	require.Equal(t, "GitHub does not show the publication of v2", told.Message)
	require.Equal(t, "that it does within 1m0s", told.Expected)
	require.NotEmpty(t, told.Got)
	require.Contains(t, told.Hint, "again")
	var sum time.Duration
	for _, d := range w.waits {
		sum += d
	}
	require.Less(t, sum, 70*time.Second, "it ends")

	other := errors.New("something else")
	require.Equal(t, other, c.Await(t.Context(), "it", func() (bool, error) { return false, other }))
	require.Error(t, c.Await(t.Context(), "it", func() (bool, error) { return false, nil }))
}

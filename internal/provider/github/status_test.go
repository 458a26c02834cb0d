package github_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/github"
)

// saying answers like GitHub and keeps what was said of a commit.
type saying struct {
	status int
	path   string
	said   github.CommitStatus
}

func (s *saying) RoundTrip(r *http.Request) (*http.Response, error) {
	s.path = r.Method + " " + r.URL.Path
	if err := json.NewDecoder(r.Body).Decode(&s.said); err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: s.status, Request: r, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(`{"message":"Resource not accessible by integration"}`))}, nil
}

// One line of at most 140 characters, whatever the verdict's text was.
func TestAStatusIsOneShortLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"short":                     "short",
		"two\nlines\tand\u2060more": "two lines and more",
		strings.Repeat("ä", 140):    strings.Repeat("ä", 140),
		strings.Repeat("ä", 141):    strings.Repeat("ä", 139) + "…",
	} {
		s := &saying{status: http.StatusCreated}
		c, err := github.New(github.Options{Repository: "o/r", Token: "t", Transport: s})
		require.NoError(t, err)
		require.NoError(t, c.SetStatus(t.Context(), "abc", github.CommitStatus{Context: "release-auditor",
			State: github.StatusFailure, Description: text}))
		require.Equal(t, want, s.said.Description)
		require.Equal(t, "POST /repos/o/r/statuses/abc", s.path)
	}
}

func TestAStatusThatMayNotBeSet(t *testing.T) {
	t.Parallel()
	s := &saying{status: http.StatusForbidden}
	c, err := github.New(github.Options{Repository: "o/r", Token: "t", Transport: s})
	require.NoError(t, err)
	err = c.SetStatus(t.Context(), "abc", github.CommitStatus{Context: "release-auditor", State: github.StatusError})
	require.Error(t, err)
	require.NotEqual(t, fault.Success, fault.CodeOf(err))
	require.ErrorContains(t, err, "setting the status release-auditor of abc")
}

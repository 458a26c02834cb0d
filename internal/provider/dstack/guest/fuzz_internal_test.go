package guest

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// said is an agent that answers everything alike.
type said struct {
	status int
	body   string
}

func (s said) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: s.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(s.body)),
		Request: r}, nil
}

// Whatever the agent answers is a key, a quote or an error; what it says of itself is text of a bounded length, and no
// error holds what may be a key.
func FuzzAnswers(f *testing.F) {
	const key = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	for _, s := range []string{`{"key":"` + key + `"}`, `{"key":"` + key + `00"}`, `{"quote":"0400","event_log":"[]"}`,
		`{"quote":"0400","event_log":"["}`, `{"error":"no"}`, `{"error":"a` + strings.Repeat("ü", 150) + `"}`, "", "null",
		`{"error":"\ud800"}`, `{"key":1}`, "<html>"} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, body string, fine bool) {
		status := http.StatusOK
		if !fine {
			status = http.StatusInternalServerError
		}
		c := &Client{http: &http.Client{Transport: said{status, body}}}
		got, err := c.Key(t.Context(), "p", "q")
		require.Equal(t, err == nil, len(got) == KeySize)
		if err != nil && fine {
			require.NotContains(t, err.Error(), key)
		}
		var refused *Error
		if errors.As(err, &refused) {
			require.LessOrEqual(t, len(refused.Message), 200)
			require.True(t, utf8.ValidString(refused.Message), "%q", refused.Message)
			require.False(t, fine)
		}
		quote, err := c.Quote(t.Context(), [64]byte{})
		require.Equal(t, err == nil, quote != nil && len(quote.Raw) > 0)
	})
}

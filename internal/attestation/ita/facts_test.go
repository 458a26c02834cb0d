package ita_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/ita"
)

// fact is what Intel's public connector sends to one address.
type fact struct {
	Source  string            `json:"source"`
	Method  string            `json:"method"`
	URL     string            `json:"url"`     // a regular expression
	Headers map[string]string `json:"headers"` // regular expressions; "" means that there is none
	Body    []string          `json:"body"`    // the members that it may have; empty: there is no body
}

// Every request of an appraisal is one that Intel's own connector would send.
func TestRequestsAreThoseOfIntelsConnector(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/connector.json")
	require.NoError(t, err)
	var facts []fact
	require.NoError(t, json.Unmarshal(data, &facts))
	w := newWorld(t, 4)
	seen := map[int]int{}
	c := w.client(t, func(c *ita.Config) {
		c.Transport = around{c.Transport, func(r *http.Request) *http.Response {
			seen[compareFacts(t, facts, r)]++
			return nil
		}}
	})
	require.NoError(t, c.Ready(t.Context()))
	_, err = c.Appraise(t.Context(), w.quote, w.ours)
	require.NoError(t, err)
	require.Len(t, seen, len(facts), "each request of the connector was made, but for what we have no use for")
}

// compareFacts finds the fact of a request and holds it against it.
func compareFacts(t *testing.T, facts []fact, r *http.Request) int {
	t.Helper()
	for i, f := range facts {
		if f.Method != r.Method || !regexp.MustCompile("^"+f.URL+"$").MatchString(r.URL.String()) {
			continue
		}
		for name, form := range f.Headers {
			if form == "" {
				require.Empty(t, r.Header.Values(name), "%s %s", f.URL, name)
				continue
			}
			require.Len(t, r.Header.Values(name), 1, "%s %s", f.URL, name)
			require.Regexp(t, "^"+form+"$", r.Header.Get(name), "%s %s", f.URL, name)
		}
		compareBody(t, f, r)
		return i
	}
	t.Errorf("Intel's connector never asks %s %s", r.Method, r.URL)
	return -1
}

// compareBody puts the body back after it was read.
func compareBody(t *testing.T, f fact, r *http.Request) {
	t.Helper()
	var body []byte
	if r.Body != nil {
		var err error
		body, err = io.ReadAll(r.Body)
		require.NoError(t, err)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
	}
	if len(f.Body) == 0 {
		require.Empty(t, body)
		return
	}
	var members map[string]map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(body, &members))
	require.Len(t, members, 1)
	for name := range members["tdx"] {
		require.Contains(t, f.Body, name)
	}
	require.Contains(t, members["tdx"], "quote")
}

package ita_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/ita"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// answering is a transport whose answer to the attest request is fixed.
func answering(next http.RoundTripper, status int, body string, header http.Header) http.RoundTripper {
	return around{next, func(r *http.Request) *http.Response {
		if r.Method != http.MethodPost {
			return nil
		}
		return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: r}
	}}
}

// The key goes to the API's host alone, and no message holds it.
func TestTheKeyStaysSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	hosts := map[string]string{}
	c := w.client(t, func(c *ita.Config) {
		c.Transport = around{c.Transport, func(r *http.Request) *http.Response {
			hosts[r.URL.Host] += r.Header.Get("x-api-key")
			return nil
		}}
	})
	_, err := c.Appraise(t.Context(), w.quote, w.ours)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"api.trustauthority.intel.com": key, "portal.trustauthority.intel.com": ""}, hosts)

	for name, c := range map[string]*ita.Client{
		"a wrong key": w.client(t, func(c *ita.Config) { c.Key = "another secret key" }),
		"an echoing gateway": w.client(t, func(c *ita.Config) {
			c.Transport = answering(c.Transport, http.StatusForbidden, "you sent x-api-key: "+key, nil)
		}),
	} {
		_, err := c.Appraise(t.Context(), w.quote, w.ours)
		require.Equal(t, fault.Usage, fault.CodeOf(err), name)
		var f *fault.Error
		require.ErrorAs(t, err, &f)
		for _, text := range []string{err.Error(), f.Expected, f.Got, f.Hint, fmt.Sprintf("%+v", c)} {
			require.NotContains(t, text, key, name)
			require.NotContains(t, text, "another secret key", name)
		}
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	c := w.client(t, func(c *ita.Config) {
		inner := answering(c.Transport, http.StatusTemporaryRedirect, "",
			http.Header{"Location": {"https://elsewhere.example.com/"}})
		c.Transport = around{inner, func(r *http.Request) *http.Response {
			require.Equal(t, "api.trustauthority.intel.com", r.URL.Host)
			return nil
		}}
	})
	requireRefusal(t, c, w, "status 200", "status 307")
}

func TestAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	for name, body := range map[string]string{"a page": "<html>", "another object": "{}", "a number": `{"token":1}`} {
		c := w.client(t, func(c *ita.Config) { c.Transport = answering(c.Transport, http.StatusOK, body, nil) })
		appraisal, err := c.Appraise(t.Context(), w.quote, w.ours)
		require.Nil(t, appraisal, name)
		require.ErrorContains(t, err, "the answer holds no token", name)
	}
	c := w.client(t, func(c *ita.Config) {
		c.Transport = answering(c.Transport, http.StatusOK, strings.Repeat(" ", 1<<20+1), nil)
	})
	_, err := c.Appraise(t.Context(), w.quote, w.ours)
	require.ErrorContains(t, err, "the answer is too large")
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	good := ita.Config{URL: "https://api.eu.trustauthority.intel.com/", Key: key, Root: [32]byte{1},
		Transport: http.DefaultTransport, Verifier: newWorld(t, 4).verifier}
	_, err := ita.New(good)
	require.NoError(t, err)
	for name, change := range map[string]func(*ita.Config){
		"no URL":       func(c *ita.Config) { c.URL = "" },
		"plain HTTP":   func(c *ita.Config) { c.URL = "http://api.trustauthority.intel.com" },
		"the portal":   func(c *ita.Config) { c.URL = "https://portal.trustauthority.intel.com" },
		"a path":       func(c *ita.Config) { c.URL += "appraisal/v2/attest" },
		"a user":       func(c *ita.Config) { c.URL = "https://me@api.trustauthority.intel.com" },
		"a query":      func(c *ita.Config) { c.URL = "https://api.trustauthority.intel.com?x" },
		"nothing":      func(c *ita.Config) { c.URL = "https://api." },
		"no key":       func(c *ita.Config) { c.Key = config.Secret("") },
		"no root":      func(c *ita.Config) { c.Root = [32]byte{} },
		"no transport": func(c *ita.Config) { c.Transport = nil },
		"no verifier":  func(c *ita.Config) { c.Verifier = nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := good
			change(&c)
			client, err := ita.New(c)
			require.Nil(t, client)
			require.Equal(t, fault.Usage, fault.CodeOf(err))
		})
	}
}

// A service of another region issues under its own name: its tokens are checked against that.
func TestTheIssuerBelongsToTheURL(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	c := w.client(t, func(c *ita.Config) {
		c.URL = "https://api.eu.trustauthority.intel.com"
		c.Transport = around{c.Transport, func(r *http.Request) *http.Response {
			r.URL.Host = strings.Replace(r.URL.Host, ".eu.", ".", 1)
			return nil
		}}
	})
	appraisal, err := c.Appraise(t.Context(), w.quote, w.ours)
	require.Nil(t, appraisal)
	require.ErrorContains(t, err, "names no revocation list below https://portal.eu.trustauthority.intel.com/crl/")
}

var errNetwork = errors.New("no route to host")

type broken struct{}

func (broken) RoundTrip(*http.Request) (*http.Response, error) { return nil, errNetwork }

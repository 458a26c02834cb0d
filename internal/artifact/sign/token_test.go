package sign_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/artifact/sign"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

const bearer = "a-secret-bearer"

func runnerOf(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func TestRequestToken(t *testing.T) {
	t.Parallel()
	for name, query := range map[string]string{"with a query": "?api-version=2.0", "without": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := runnerOf(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet || r.Header.Get("Authorization") != "bearer "+bearer ||
					r.URL.Query().Get("audience") != "a b&c" {
					http.Error(w, "wrong request", http.StatusBadRequest)
					return
				}
				_, _ = w.Write([]byte(`{"count":1,"value":"a.b.c"}`))
			})
			got, err := sign.RequestToken(http.DefaultClient, url+query, bearer, "a b&c")(t.Context())
			require.NoError(t, err)
			require.Equal(t, "a.b.c", got)
		})
	}
}

func TestRequestTokenFailures(t *testing.T) {
	t.Parallel()
	elsewhere := runnerOf(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"value":"a.b.c"}`)) })
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		says   string
	}{
		"unauthorized": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, bearer, http.StatusUnauthorized) },
			"status 401"},
		"redirected": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere, http.StatusFound) },
			"status 302"},
		"no JSON": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, "invalid character"},
		"no token": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"value":""}`)) },
			"holds no token"},
		"endless": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"value":"` + strings.Repeat("a.", 1<<20) + `"}`))
		}, "larger than allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := sign.RequestToken(http.DefaultClient, runnerOf(t, c.answer), bearer, sign.Audience)(t.Context())
			require.ErrorContains(t, err, c.says)
			require.NotContains(t, err.Error(), bearer)
			require.Equal(t, fault.General, fault.CodeOf(err))
		})
	}
	for name, pair := range map[string][2]string{"no url": {"", bearer}, "no bearer": {elsewhere, ""}} {
		_, err := sign.RequestToken(http.DefaultClient, pair[0], pair[1], sign.Audience)(t.Context())
		require.Equal(t, fault.Usage, fault.CodeOf(err), name)
	}
}

func TestRequestTokenRetriesAndEndsWithTheContext(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	ctx, cancel := context.WithCancel(t.Context())
	url := runnerOf(t, func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 2 {
			cancel()
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	_, err := sign.RequestToken(http.DefaultClient, url, bearer, sign.Audience)(ctx)
	require.Error(t, err)
	require.EqualValues(t, 2, asked.Load())
}

// The local Sigstore demands this run's bearer.
func TestInstanceDemandsItsBearer(t *testing.T) {
	t.Parallel()
	url := instance.TokenURL(repository, identity.Workflow, identity.Ref(), commit)
	_, err := sign.RequestToken(http.DefaultClient, url, instance.Bearer()+"x", sign.Audience)(t.Context())
	require.ErrorContains(t, err, "status 401")
	_, err = sign.RequestToken(http.DefaultClient, url+"&event=No+Event", instance.Bearer(), sign.Audience)(t.Context())
	require.ErrorContains(t, err, "status 400")
}

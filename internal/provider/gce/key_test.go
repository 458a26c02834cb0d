package gce_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/gce"
)

func without(t *testing.T, field, value string) []byte {
	t.Helper()
	var key map[string]string
	require.NoError(t, json.Unmarshal(testKey(), &key))
	key[field] = value
	out, err := json.Marshal(key)
	require.NoError(t, err)
	return out
}

func TestMalformedKeysAreRefusedAndNotShown(t *testing.T) {
	t.Parallel()
	// A pipe is where whoever reads the error would find the key.
	const secret = "MIIEvQIBADANBgkqhkiG9w0"
	for name, key := range map[string][]byte{
		"empty":          {},
		"not JSON":       []byte(secret),
		"cut":            testKey()[:len(testKey())/2],
		"another type":   without(t, "type", "external_account"),
		"no e-mail":      without(t, "client_email", ""),
		"no private key": without(t, "private_key", ""),
		"not PEM":        without(t, "private_key", secret),
		"PEM of another kind": without(t, "private_key",
			"-----BEGIN PRIVATE KEY-----\n"+secret+"\n-----END PRIVATE KEY-----\n"),
		"PEM that is no key": without(t, "private_key",
			"-----BEGIN PRIVATE KEY-----\nTUlJRXZRSUJBREFO\n-----END PRIVATE KEY-----\n"),
	} {
		_, err := gce.New(t.Context(), gce.Options{Project: project, Zone: zone, Key: key, Transport: http.DefaultTransport})
		require.Error(t, err, name)
		var f *fault.Error
		require.ErrorAs(t, err, &f, name)
		require.Equal(t, fault.Usage, f.Code, name)
		require.NotEmpty(t, f.Hint, name)
		shown := f.Error() + f.Expected + f.Got + f.Hint
		require.Contains(t, shown, "GCP_SERVICE_ACCOUNT_KEY", name)
		require.NotContains(t, shown, secret[:8], name)
		require.NotContains(t, shown, "TUlJ", name)
	}
}

func TestProjectAndZoneAreChecked(t *testing.T) {
	t.Parallel()
	for _, o := range []gce.Options{
		{Zone: zone, Transport: http.DefaultTransport},
		{Project: "../other", Zone: zone, Transport: http.DefaultTransport},
		{Project: project, Transport: http.DefaultTransport},
		{Project: project, Zone: "us-central1-a/x", Transport: http.DefaultTransport},
		{Project: project, Zone: zone},
	} {
		o.Key = testKey()
		_, err := gce.New(t.Context(), o)
		require.Error(t, err, "%+v", o)
	}
}

func TestDefaultCredentials(t *testing.T) {
	path := t.TempDir() + "/missing.json"
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", path)
	for _, key := range [][]byte{nil, {}} { // an unset secret arrives as an empty one
		_, err := gce.New(t.Context(), gce.Options{Project: project, Zone: zone, Transport: http.DefaultTransport, Key: key})
		require.Equal(t, fault.Usage, fault.CodeOf(err))
		require.ErrorContains(t, err, "no credentials")
	}
}

// The token comes over the given transport, signed with the key, and is kept.
func TestTokensAreFetchedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ok(`{"name":"x"}`))
	asked := 0
	w.serve("oauth2.googleapis.com", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		asked++
		assert.Equal(t, "urn:ietf:params:oauth:grant-type:jwt-bearer", r.FormValue("grant_type"))
		assert.Equal(t, 2, strings.Count(r.FormValue("assertion"), "."))
		tokens(`{"access_token":"token","token_type":"Bearer","expires_in":3600}`, http.StatusOK).ServeHTTP(rw, r)
	}))
	c := w.bare()
	for range 3 {
		_, err := c.Image(t.Context(), project, "x")
		require.NoError(t, err)
	}
	require.Equal(t, 1, asked)
}

func TestARefusedKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ok(`{}`))
	asked := 0
	w.serve("oauth2.googleapis.com", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		asked++
		tokens(`{"error":"invalid_grant","error_description":"Invalid JWT Signature."}`, http.StatusBadRequest).
			ServeHTTP(rw, r)
	}))
	_, err := w.bare().Image(t.Context(), project, "x")
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Equal(t, fault.Usage, f.Code)
	require.Contains(t, f.Hint, "GCP_SERVICE_ACCOUNT_KEY")
	require.ErrorContains(t, err, "Invalid JWT Signature.")
	require.NotContains(t, err.Error(), "assertion")
	require.Equal(t, 1, asked, "another try cannot help")
}

func TestATokenServerThatIsBusyIsAskedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ok(`{"name":"x"}`))
	good := tokens(`{"access_token":"token","token_type":"Bearer","expires_in":3600}`, http.StatusOK)
	w.serve("oauth2.googleapis.com", inTurn(cut, tokens(``, http.StatusServiceUnavailable),
		tokens(`{}`, http.StatusTooManyRequests), good))
	_, err := w.bare().Image(t.Context(), project, "x")
	require.NoError(t, err)
	require.Len(t, w.pauses, 3)
}

// Nothing exists, says the API only: a token server's 404 must not pass for it.
func TestA404OnTheWayProvesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ok(`{}`))
	w.serve("oauth2.googleapis.com", tokens(`{"error":"notFound"}`, http.StatusNotFound))
	err := w.bare().Delete(t.Context(), "mero-x")
	require.Error(t, err)
	require.NotErrorIs(t, err, gce.ErrNotFound)
	require.NotContains(t, w.said(&w.journal), "end vm mero-x")

	gateway := newWorld(t, answer{status: http.StatusNotFound, body: "<html>404 page not found"})
	err = gateway.client().Delete(t.Context(), "mero-x")
	require.Error(t, err)
	require.NotErrorIs(t, err, gce.ErrNotFound)
}

func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		chunk := bytes.Repeat([]byte(" "), 1<<20)
		for range 17 {
			_, _ = rw.Write(chunk)
		}
	}))
	_, err := w.client().Image(t.Context(), project, "x")
	require.ErrorContains(t, err, "larger than 16 MiB")
	require.Len(t, w.requests, 1)
}

func TestAnAnswerThatIsNotJSON(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ok("<html>log in"))
	_, err := w.client().Image(t.Context(), project, "x")
	require.Error(t, err)
	require.Len(t, w.requests, 1, "a portal stays a portal")
}

// A certificate that nobody vouches for is the end, not a reason to go on asking.
func TestCertificatesAreChecked(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	s := httptest.NewUnstartedServer(ok(`{}`))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			asked.Add(1)
		}
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	w := newWorld(t, ok(`{}`))
	way := s.Client().Transport.(*http.Transport).Clone()
	way.TLSClientConfig = nil
	w.options.Transport = way
	w.options.Key = without(t, "token_uri", s.URL)
	_, err := w.bare().Image(t.Context(), project, "x")
	require.ErrorContains(t, err, "certificate")
	require.EqualValues(t, 1, asked.Load())
}

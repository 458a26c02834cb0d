package gce_test

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2/google"

	"github.com/calimero-network/mero-tee/internal/rehearsal/gce"
)

const grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"

// assertion signs claims with a key of the form that Key gives.
func assertion(t *testing.T, key []byte, alg jose.SignatureAlgorithm, claims map[string]any) string {
	t.Helper()
	config, err := google.JWTConfigFromJSON(key)
	require.NoError(t, err)
	var private any = []byte("0123456789abcdef0123456789abcdef")
	if alg != jose.HS256 {
		private = parseKey(t, config.PrivateKey)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: private}, nil)
	require.NoError(t, err)
	payload, err := json.Marshal(claims)
	require.NoError(t, err)
	signed, err := signer.Sign(payload)
	require.NoError(t, err)
	text, err := signed.CompactSerialize()
	require.NoError(t, err)
	return text
}

func (w *world) token(form url.Values) (int, map[string]any) {
	w.Helper()
	answer, err := w.plain.PostForm("https://oauth2.googleapis.com/token", form)
	require.NoError(w, err)
	defer answer.Body.Close()
	var out map[string]any
	require.NoError(w, json.NewDecoder(answer.Body).Decode(&out))
	return answer.StatusCode, out
}

func TestTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.server.Key()
	email := "mero-tee@rehearsal.iam.gserviceaccount.com"
	good := func() map[string]any {
		return map[string]any{"iss": email, "aud": "https://oauth2.googleapis.com/token",
			"scope": "https://www.googleapis.com/auth/compute",
			"iat":   time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()}
	}
	for name, tc := range map[string]struct {
		change func(map[string]any)
		alg    jose.SignatureAlgorithm
		want   string
	}{
		"good":     {func(map[string]any) {}, jose.RS256, ""},
		"another":  {func(c map[string]any) { c["iss"] = "x@y" }, jose.RS256, "invalid_grant"},
		"audience": {func(c map[string]any) { c["aud"] = "https://example.com" }, jose.RS256, "invalid_grant"},
		"no scope": {func(c map[string]any) { delete(c, "scope") }, jose.RS256, "invalid_scope"},
		"expired": {func(c map[string]any) { c["exp"] = time.Now().Add(-time.Minute).Unix() }, jose.RS256,
			"invalid_grant"},
		"not yet": {func(c map[string]any) { c["iat"] = time.Now().Add(time.Hour).Unix() }, jose.RS256,
			"invalid_grant"},
		"too long": {func(c map[string]any) { c["exp"] = time.Now().Add(2 * time.Hour).Unix() }, jose.RS256,
			"invalid_grant"},
		"PS256":         {func(map[string]any) {}, jose.PS256, "invalid_grant"},
		"symmetric key": {func(map[string]any) {}, jose.HS256, "invalid_grant"},
	} {
		claims := good()
		tc.change(claims)
		status, out := w.token(url.Values{"grant_type": {grant}, "assertion": {assertion(t, key, tc.alg, claims)}})
		if tc.want == "" {
			require.Equal(t, http.StatusOK, status, name)
			require.Equal(t, "Bearer", out["token_type"])
			continue
		}
		require.Equal(t, http.StatusBadRequest, status, name)
		require.Equal(t, tc.want, out["error"], name)
	}
	cut := assertion(t, key, jose.RS256, good())
	for _, form := range []url.Values{{}, {"grant_type": {grant}},
		{"grant_type": {grant}, "assertion": {cut[:len(cut)-4] + "AAAA"}},
		{"grant_type": {"password"}, "assertion": {cut}}} {
		status, _ := w.token(form)
		require.Equal(t, http.StatusBadRequest, status, form)
	}
}

func TestCallsNeedABearerToken(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := newServer(t, gce.Options{State: t.TempDir(), Host: newMachines(), Now: func() time.Time { return now }})
	w := &world{T: t, server: s}
	w.connect(s)
	key := s.Key()
	status := func(token string) int {
		r, err := http.NewRequest(http.MethodGet, "https://compute.googleapis.com/compute/v1/projects/rehearsal", nil)
		require.NoError(t, err)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		answer, err := w.plain.Do(r)
		require.NoError(t, err)
		_, _ = io.Copy(io.Discard, answer.Body)
		require.NoError(t, answer.Body.Close())
		return answer.StatusCode
	}
	claims := map[string]any{"iss": "mero-tee@rehearsal.iam.gserviceaccount.com",
		"aud":   "https://oauth2.googleapis.com/token",
		"scope": "s", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	_, out := w.token(url.Values{"grant_type": {grant}, "assertion": {assertion(t, key, jose.RS256, claims)}})
	token := out["access_token"].(string)
	self := map[string]any{"iss": claims["iss"], "aud": "https://compute.googleapis.com/", "iat": now.Unix(),
		"exp": now.Add(time.Hour).Unix()}
	require.Equal(t, http.StatusOK, status(token))
	require.Equal(t, http.StatusOK, status(assertion(t, key, jose.RS256, self)), "signed by the account itself")
	self["aud"] = "https://storage.googleapis.com/"
	require.Equal(t, http.StatusUnauthorized, status(assertion(t, key, jose.RS256, self)))
	for _, wrong := range []string{"", "x", token[:len(token)-1], strings.Replace(token, "-1", "-9", 1)} {
		require.Equal(t, http.StatusUnauthorized, status(wrong), wrong)
	}
	now = now.Add(time.Hour)
	require.Equal(t, http.StatusUnauthorized, status(token), "an hour later")
}

func TestTheKeyIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.server.Key()
	require.NoError(t, w.server.Close())
	reopened, err := gce.New(gce.Options{State: w.state, Project: ours, Zone: zone, Role: theRole,
		Host: newMachines()}) // would make a key of its own
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, reopened.Close()) })
	require.Equal(t, string(key), string(reopened.Key()))
	info, err := os.Stat(filepath.Join(w.state, "service-account.json"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func parseKey(t *testing.T, data []byte) any {
	t.Helper()
	block, _ := pem.Decode(data)
	require.NotNil(t, block)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	require.NoError(t, err)
	return key
}

package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/digitorus/timestamp"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/stretchr/testify/require"
)

func TestStoreKeepsWhatItMade(t *testing.T) {
	t.Parallel()
	s := store{dir: filepath.Join(t.TempDir(), "keys")}
	for range 2 { // the second round must not make anything
		a, err := load(s, filepath.Join(t.TempDir(), "v1"), githubIssuer)
		require.NoError(t, err)
		b, err := load(s, filepath.Join(t.TempDir(), "v1"), githubIssuer)
		require.NoError(t, err)
		one, err := trustedRoot(a)
		require.NoError(t, err)
		two, err := trustedRoot(b)
		require.NoError(t, err)
		require.Equal(t, one.String(), two.String())
		require.NotEqual(t, a.issuer.bearer, b.issuer.bearer)
	}
	require.NoError(t, filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := d.Info()
		require.NoError(t, err)
		require.Zero(t, info.Mode().Perm()&0o077, path)
		return nil
	}))
}

func TestEveryAuthoritySaysRehearsal(t *testing.T) {
	t.Parallel()
	a, err := load(store{dir: t.TempDir()}, t.TempDir(), githubIssuer)
	require.NoError(t, err)
	for _, c := range append([]*x509.Certificate{a.ca.chain[0]}, a.tsa.chain...) {
		require.Contains(t, c.Subject.CommonName, "rehearsal")
		require.Contains(t, c.Issuer.CommonName, "rehearsal")
	}
	root, err := trustedRoot(a)
	require.NoError(t, err)
	for _, l := range append(root.GetTlogs(), root.GetCtlogs()...) {
		require.True(t, strings.HasSuffix(l.GetBaseUrl(), ".rehearsal.test"), l.GetBaseUrl())
	}
}

func TestStoreRefusesDamage(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"empty": "", "no PEM": "nonsense", "no key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := store{dir: t.TempDir()}
			require.NoError(t, os.WriteFile(s.path("k.key.pem"), []byte(content), 0o600))
			_, err := s.key("k", func() (crypto.Signer, error) {
				t.Error("makes a new key over a damaged one")
				return newP256()
			})
			require.Error(t, err)
		})
	}
}

func TestLockIsExclusive(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	held, err := lock(t.Context(), dir)
	require.NoError(t, err)
	_, err = lockOnce(t, dir)
	require.ErrorContains(t, err, "in use by another instance")
	require.NoError(t, held.Close())
	again, err := lockOnce(t, dir)
	require.NoError(t, err)
	require.NoError(t, again.Close())
}

func lockOnce(t *testing.T, dir string) (*os.File, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	return lock(ctx, dir)
}

// A log continues after a restart; a line that a crash cut off was never answered for.
func TestEntriesSurvive(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := openEntries(dir, func(logged) { t.Error("a new log is empty") })
	require.NoError(t, err)
	all := []logged{{[]byte("one"), 1}, {[]byte("two"), 2}}
	for _, e := range all {
		require.NoError(t, l.append(e))
	}
	_, err = l.f.WriteString("3 dGhyZW") // cut off
	require.NoError(t, err)
	require.NoError(t, l.f.Close())
	for range 2 {
		var got []logged
		l, err = openEntries(dir, func(e logged) { got = append(got, e) })
		require.NoError(t, err)
		require.Equal(t, all, got)
		require.NoError(t, l.f.Close())
	}
	for _, damaged := range []string{"###\n", "dGhyZW==\n", "1 ###\n", "\n"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "entries"), []byte(damaged), 0o600))
		_, err = openEntries(dir, func(logged) {})
		require.ErrorContains(t, err, "entry at byte 0", damaged)
	}
}

// What a disk does not give is not cut off from the log.
func TestEntriesThatCannotBeReadAreKept(t *testing.T) {
	t.Parallel()
	failing := io.MultiReader(strings.NewReader("1 b25l\n2 dHd"), iotest.ErrReader(syscall.EIO))
	var got []logged
	_, err := readEntries(failing, func(e logged) { got = append(got, e) })
	require.ErrorIs(t, err, syscall.EIO)
	require.Equal(t, []logged{{[]byte("one"), 1}}, got)
}

func good() url.Values {
	return url.Values{"repository": {"calimero-network/mero-tee"}, "workflow": {"release-kms-phala.yaml"},
		"ref": {"refs/tags/mero-kms-v1.2.0"}, "sha": {strings.Repeat("a", 40)}, "audience": {"sigstore"}}
}

func TestRunnerGivesWhatTheQuerySays(t *testing.T) {
	t.Parallel()
	i, err := newIssuer(store{dir: t.TempDir()}, githubIssuer, "secret")
	require.NoError(t, err)
	w := ask(i, good(), "bearer secret")
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	var answer struct{ Value string }
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
	token, err := jwt.ParseSigned(answer.Value, []jose.SignatureAlgorithm{jose.RS256})
	require.NoError(t, err)
	var claims map[string]any
	require.NoError(t, token.Claims(i.public, &claims))
	for name, want := range map[string]any{
		"iss": githubIssuer, "aud": "sigstore", "sub": "repo:calimero-network/mero-tee:ref:refs/tags/mero-kms-v1.2.0",
		"event_name": "push", "ref_type": "tag", "repository_owner": "calimero-network",
		"runner_environment": "github-hosted",
		"job_workflow_ref":   "calimero-network/mero-tee/.github/workflows/release-kms-phala.yaml@refs/tags/mero-kms-v1.2.0",
	} {
		require.Equal(t, want, claims[name], name)
	}
}

func ask(i *issuer, q url.Values, authorization string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/?"+q.Encode(), nil)
	r.Header.Set("Authorization", authorization)
	w := httptest.NewRecorder()
	i.runner().ServeHTTP(w, r)
	return w
}

func TestRunnerRefuses(t *testing.T) {
	t.Parallel()
	i, err := newIssuer(store{dir: t.TempDir()}, githubIssuer, "secret")
	require.NoError(t, err)
	for _, authorization := range []string{"", "secret", "bearer ", "bearer secre", "bearer secretx", "basic secret"} {
		require.Equal(t, http.StatusUnauthorized, ask(i, good(), authorization).Code, authorization)
	}
	for name, value := range map[string]string{
		"repository": "nobody", "workflow": "../x.yaml", "ref": "main", "sha": "abc", "event": "No",
		"runner_environment": "mine", "audience": "a b",
	} {
		q := good()
		q.Set(name, value)
		w := ask(i, q, "bearer secret")
		require.Equal(t, http.StatusBadRequest, w.Code, name)
		require.Contains(t, w.Body.String(), name+": want")
	}
}

// asking sends a timestamp query to the authority.
func asking(a *tsa, kind string, body []byte) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, timestampPath, bytes.NewReader(body))
	r.Header.Set("Content-Type", kind)
	w := httptest.NewRecorder()
	a.api().ServeHTTP(w, r)
	return w
}

const queryType = "application/timestamp-query"

func TestTimestampAuthority(t *testing.T) {
	t.Parallel()
	a, err := newTSA(store{dir: t.TempDir()})
	require.NoError(t, err)
	query, err := timestamp.CreateRequest(strings.NewReader("content"), &timestamp.RequestOptions{Hash: crypto.SHA256})
	require.NoError(t, err)
	w := asking(a, queryType, query)
	require.Equal(t, http.StatusCreated, w.Code)
	require.Equal(t, "application/timestamp-reply", w.Header().Get("Content-Type"))
	reply, err := timestamp.ParseResponse(w.Body.Bytes())
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), reply.Time, time.Minute)

	w = httptest.NewRecorder()
	a.api().ServeHTTP(w, httptest.NewRequest(http.MethodGet, timestampPath+"/certchain", nil))
	require.Equal(t, 2, strings.Count(w.Body.String(), "BEGIN CERTIFICATE"))
}

func TestTimestampAuthorityRefuses(t *testing.T) {
	t.Parallel()
	a, err := newTSA(store{dir: t.TempDir()})
	require.NoError(t, err)
	query := func(o timestamp.Request) []byte {
		der, err := o.Marshal()
		require.NoError(t, err)
		return der
	}
	good := timestamp.Request{HashAlgorithm: crypto.SHA256, HashedMessage: make([]byte, 32)}
	weak, short, policy, extended := good, good, good, good
	weak.HashAlgorithm, weak.HashedMessage = crypto.SHA1, make([]byte, 20)
	short.HashedMessage = make([]byte, 31)
	policy.TSAPolicyOID = asn1.ObjectIdentifier{1, 2, 3}
	extended.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: []byte{5, 0}}}
	require.Equal(t, http.StatusCreated, asking(a, queryType, query(good)).Code)
	for name, tc := range map[string]struct {
		kind string
		body []byte
		want int
	}{
		"nonsense":           {queryType, []byte("nonsense"), http.StatusBadRequest},
		"empty":              {queryType, nil, http.StatusBadRequest},
		"another type":       {"application/octet-stream", query(good), http.StatusUnsupportedMediaType},
		"a weak hash":        {queryType, query(weak), http.StatusBadRequest},
		"a digest too short": {queryType, query(short), http.StatusBadRequest},
		"another's policy":   {queryType, query(policy), http.StatusBadRequest},
		"an extension":       {queryType, query(extended), http.StatusBadRequest},
	} {
		w := asking(a, tc.kind, tc.body)
		require.Equal(t, tc.want, w.Code, name)
		require.Contains(t, w.Body.String(), `"code":`, name)
	}
}

// Chains are checked by the certificate transparency library.
func TestCertificateLogRefusesNonsense(t *testing.T) {
	t.Parallel()
	a, err := load(store{dir: t.TempDir()}, t.TempDir(), githubIssuer)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		h                  http.Handler
		method, path, body string
		want               int
	}{
		"ct: no JSON": {a.ct, http.MethodPost, "/ct/v1/add-pre-chain", "nonsense", http.StatusBadRequest},
		"ct: no certificate": {a.ct, http.MethodPost, "/ct/v1/add-pre-chain", `{"chain":["AAAA"]}`,
			http.StatusBadRequest},
		"ct: an empty chain":      {a.ct, http.MethodPost, "/ct/v1/add-pre-chain", `{"chain":[]}`, http.StatusBadRequest},
		"ct: another call":        {a.ct, http.MethodGet, "/ct/v1/get-sth", "", http.StatusNotFound},
		"timestamp: another path": {a.tsa.api(), http.MethodPost, "/", "", http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			c.h.ServeHTTP(w, httptest.NewRequest(c.method, c.path, strings.NewReader(c.body)))
			require.Equal(t, c.want, w.Code, w.Body)
		})
	}
}

// Fulcio's process talks to the issuer in memory, to loopback, and to no one else.
func TestInProcessTransport(t *testing.T) {
	t.Parallel()
	local := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "loopback")
	}))
	defer local.Close()
	i, err := newIssuer(store{dir: t.TempDir()}, githubIssuer, "secret")
	require.NoError(t, err)
	client := &http.Client{Transport: inProcess{host: "token.actions.githubusercontent.com", handler: i.discovery(),
		loopback: local.Client().Transport}}
	for address, want := range map[string]string{
		githubIssuer + "/.well-known/openid-configuration": `"issuer":"` + githubIssuer + `"`,
		githubIssuer + "/.well-known/jwks":                 issuerKeyID,
		local.URL:                                          "loopback",
	} {
		response, err := client.Get(address)
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Contains(t, string(body), want)
	}
	_, err = client.Get("https://fulcio.sigstore.dev")
	require.ErrorContains(t, err, "does not talk to fulcio.sigstore.dev")
}

func TestArguments(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{}, {"-rekor", "x"}, {"-dir", "x", "-rekor", "y", "extra"}} {
		require.ErrorContains(t, run(args, strings.NewReader(""), io.Discard), "usage", "%v", args)
	}
	err := run([]string{"-dir", t.TempDir(), "-rekor", "false"}, neverEnding{}, io.Discard)
	require.ErrorContains(t, err, "rekor does not start")
}

// neverEnding is a standard input that stays open.
type neverEnding struct{}

func (neverEnding) Read([]byte) (int, error) { select {} }

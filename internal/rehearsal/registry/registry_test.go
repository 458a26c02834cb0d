package registry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/rehearsal/registry"
)

const password = "push-token"

func open(t testing.TB, dir string, now func() time.Time) (*registry.Registry, string) {
	t.Helper()
	r, err := registry.Open(registry.Options{Dir: dir, Token: password, Now: now})
	require.NoError(t, err)
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	return r, strings.TrimPrefix(server.URL, "http://")
}

func tag(t testing.TB, host string) name.Tag {
	t.Helper()
	out, err := name.NewTag(host + "/calimero-network/mero-kms:1.2.0-debug")
	require.NoError(t, err)
	return out
}

func as(password string) remote.Option {
	return remote.WithAuth(&authn.Basic{Username: "ci", Password: password})
}

func index(t testing.TB) v1.ImageIndex {
	t.Helper()
	out, err := random.Index(2048, 2, 2)
	require.NoError(t, err)
	return out
}

// The spec's promise to its own users: what was pushed is there after a restart, for crane and by digest.
func TestSurvivesARestart(t *testing.T) {
	t.Parallel()
	dir, pushed := t.TempDir(), index(t)
	digest, err := pushed.Digest()
	require.NoError(t, err)
	_, host := open(t, dir, time.Now)
	require.NoError(t, remote.WriteIndex(tag(t, host), pushed, as(password)))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "blobs", "upload-cut-off"), []byte("half"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "manifests", ".cut.off.tmp"), []byte("half"), 0o600))

	_, host = open(t, dir, time.Now)
	got, err := crane.Digest(tag(t, host).Name())
	require.NoError(t, err)
	require.Equal(t, digest.String(), got)
	tags, err := crane.ListTags(tag(t, host).Context().Name())
	require.NoError(t, err)
	require.Equal(t, []string{"1.2.0-debug"}, tags)
	back, err := remote.Index(tag(t, host).Context().Digest(digest.String()))
	require.NoError(t, err)
	readAll(t, back)
	require.NoFileExists(t, filepath.Join(dir, "blobs", "upload-cut-off"))
	require.NoFileExists(t, filepath.Join(dir, "manifests", ".cut.off.tmp"))
}

// readAll reads every manifest, config and layer; the client checks each digest.
func readAll(t *testing.T, index v1.ImageIndex) {
	t.Helper()
	manifest, err := index.IndexManifest()
	require.NoError(t, err)
	require.Len(t, manifest.Manifests, 2)
	for _, d := range manifest.Manifests {
		image, err := index.Image(d.Digest)
		require.NoError(t, err)
		_, err = image.RawConfigFile()
		require.NoError(t, err)
		layers, err := image.Layers()
		require.NoError(t, err)
		require.Len(t, layers, 2)
		for _, layer := range layers {
			content, err := layer.Compressed()
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, content)
			require.NoError(t, err)
		}
	}
}

func TestOnlyTheTokenPushes(t *testing.T) {
	t.Parallel()
	_, host := open(t, t.TempDir(), time.Now)
	require.ErrorContains(t, remote.WriteIndex(tag(t, host), index(t)), "UNAUTHORIZED")
	require.ErrorContains(t, remote.WriteIndex(tag(t, host), index(t), as("wrong")), "UNAUTHORIZED")
	require.NoError(t, remote.WriteIndex(tag(t, host), index(t), as(password)))
	_, err := remote.Index(tag(t, host)) // anonymous
	require.NoError(t, err)
}

// bearer asks the token endpoint the way a client does.
func bearer(t *testing.T, host, scope string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host+"/token?scope="+scope, nil)
	require.NoError(t, err)
	req.SetBasicAuth("ci", password)
	var answer struct{ Token string }
	status, body, _ := do(t, req)
	require.Equal(t, http.StatusOK, status)
	require.NoError(t, json.Unmarshal(body, &answer))
	return answer.Token
}

func do(t *testing.T, req *http.Request) (int, []byte, http.Header) {
	t.Helper()
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, body, res.Header
}

func call(t *testing.T, method, url, token string, body []byte) (int, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	require.NoError(t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	req.Header.Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
	status, _, header := do(t, req)
	return status, header
}

func TestBearerTokens(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	_, host := open(t, t.TempDir(), func() time.Time { return now })
	upload := "http://" + host + "/v2/a/b/blobs/uploads/"

	status, header := call(t, http.MethodPost, upload, "", nil)
	require.Equal(t, http.StatusUnauthorized, status)
	require.Equal(t, `Bearer realm="http://`+host+`/token",service="`+host+`",scope="repository:a/b:pull,push"`,
		header.Get("WWW-Authenticate"))

	token := bearer(t, host, "repository:a/b:pull,push")
	for name, tc := range map[string]struct {
		url, token string
		want       int
	}{
		"scope granted":      {upload, token, http.StatusAccepted},
		"another repository": {"http://" + host + "/v2/a/c/blobs/uploads/", token, http.StatusUnauthorized},
		"pull only":          {upload, bearer(t, host, "repository:a/b:pull"), http.StatusUnauthorized},
		"changed":            {upload, token[:len(token)-2] + "AA", http.StatusUnauthorized},
		"garbage":            {upload, "garbage", http.StatusUnauthorized},
	} {
		status, _ := call(t, http.MethodPost, tc.url, tc.token, nil)
		require.Equal(t, tc.want, status, name)
	}
	now = now.Add(5 * time.Minute)
	status, _ = call(t, http.MethodPost, upload, token, nil)
	require.Equal(t, http.StatusUnauthorized, status, "expired")
}

// A production host name reaches the registry over the client's TLS, so the challenge must not lead into the clear.
func TestChallengeOfAProductionName(t *testing.T) {
	t.Parallel()
	r, _ := open(t, t.TempDir(), time.Now)
	req := httptest.NewRequest(http.MethodGet, "/v2/", nil)
	req.Host = "ghcr.io"
	answer := httptest.NewRecorder()
	r.ServeHTTP(answer, req)
	require.Equal(t, `Bearer realm="https://ghcr.io/token",service="ghcr.io"`, answer.Header().Get("WWW-Authenticate"))
}

func TestRefusedRequests(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, host := open(t, dir, time.Now)
	token := bearer(t, host, "repository:a/b:pull,push")
	base := "http://" + host + "/v2/a/b/manifests/"
	for name, tc := range map[string]struct {
		method, url string
		body        string
		want        int
	}{
		"not a registry path": {http.MethodGet, "http://" + host + "/", "", http.StatusNotFound},
		"delete":              {http.MethodDelete, base + "x", "", http.StatusMethodNotAllowed},
		"tag with a dot":      {http.MethodPut, base + ".x", "{}", http.StatusBadRequest},
		"escaped path":        {http.MethodPut, base + "..%2f..%2fx", "{}", http.StatusBadRequest},
		"another digest":      {http.MethodPut, base + "sha256:" + strings.Repeat("0", 64), "{}", http.StatusBadRequest},
		"too large":           {http.MethodPut, base + "x", strings.Repeat(" ", 4<<20+1), http.StatusRequestEntityTooLarge},
	} {
		method := tc.method
		use := token
		if method == http.MethodDelete {
			use = bearer(t, host, "repository:a/b:pull,push")
		}
		status, _ := call(t, method, tc.url, use, []byte(tc.body))
		require.Equal(t, tc.want, status, name)
	}
	require.NoDirExists(t, filepath.Join(dir, "manifests"))
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	_, err := registry.Open(registry.Options{Dir: t.TempDir(), Token: password})
	require.ErrorContains(t, err, "clock")

	for name, damage := range map[string]func(t *testing.T, path string){
		"was changed on disk": func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path, []byte("type\n{}"), 0o600))
		},
		"no such file": func(t *testing.T, path string) { require.NoError(t, os.Remove(path)) },
		"not a stored manifest": func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(filepath.Dir(path)), "stray"), nil, 0o600))
		},
		"is not a digest": func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(filepath.Dir(path)), "_tags", "1.2.0-debug"),
				[]byte("../../x\n"), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			_, host := open(t, dir, time.Now)
			pushed := index(t)
			require.NoError(t, remote.WriteIndex(tag(t, host), pushed, as(password)))
			digest, err := pushed.Digest()
			require.NoError(t, err)
			damage(t, filepath.Join(dir, "manifests", "calimero-network", "mero-kms", "_digests", digest.Hex))
			_, err = registry.Open(registry.Options{Dir: dir, Token: password, Now: time.Now})
			require.ErrorContains(t, err, name)
		})
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	r, host := open(t, t.TempDir(), time.Now)
	patient := remote.WithRetryBackoff(remote.Backoff{Duration: time.Millisecond, Factor: 1, Steps: 4})
	r.Fail(3, http.StatusServiceUnavailable)
	require.NoError(t, remote.WriteIndex(tag(t, host), index(t), as(password), patient), "the client tries again")
	r.Fail(1, http.StatusTeapot)
	status, _ := call(t, http.MethodGet, "http://"+host+"/v2/", "", nil)
	require.Equal(t, http.StatusTeapot, status)

	r.Slow(time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := remote.Index(tag(t, host), remote.WithContext(ctx))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	r.Slow(0)
	_, err = remote.Index(tag(t, host))
	require.NoError(t, err)
}

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
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/rehearsal/registry"
)

const (
	password = "push-token"
	pkg      = "calimero-network/mero-kms"
)

func open(t testing.TB, dir string, now func() time.Time) (*registry.Registry, string) {
	t.Helper()
	return openWith(t, registry.Options{Dir: dir, Token: password, Now: now})
}

func openWith(t testing.TB, o registry.Options) (*registry.Registry, string) {
	t.Helper()
	r, err := registry.Open(o)
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
	r, host := open(t, dir, time.Now)
	require.NoError(t, remote.WriteIndex(tag(t, host), pushed, as(password)))
	require.NoError(t, r.MakePublic(pkg))
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
	require.ErrorContains(t, remote.WriteIndex(tag(t, host), index(t)), "DENIED")
	require.ErrorContains(t, remote.WriteIndex(tag(t, host), index(t), as("wrong")), "DENIED: denied")
	require.NoError(t, remote.WriteIndex(tag(t, host), index(t), as(password)))
}

// A first package is private: until a person makes it public, to strangers it is as if there were none.
func TestAPackageIsPrivateAtFirst(t *testing.T) {
	t.Parallel()
	dir, made := t.TempDir(), []string{}
	r, host := openWith(t, registry.Options{Dir: dir, Token: password, Now: time.Now, Rights: rights,
		Created: func(repository string) { made = append(made, repository) }})
	require.ErrorContains(t, r.MakePublic(pkg), "there is no package")
	_, nothing := remote.Index(tag(t, host))
	for range 2 {
		require.NoError(t, remote.WriteIndex(tag(t, host), index(t), as(password)))
	}
	require.Equal(t, []string{pkg}, made, "once")
	_, err := remote.Index(tag(t, host))
	require.ErrorContains(t, err, "DENIED: requested access to the resource is denied")
	require.Equal(t, nothing.Error(), err.Error())
	_, err = remote.Head(tag(t, host), as("stranger"))
	requireStatus(t, err, http.StatusForbidden)
	_, err = remote.Index(tag(t, host), as("reader"))
	require.NoError(t, err)

	require.NoError(t, r.MakePublic(pkg))
	for _, again := range []string{"", "stranger"} {
		_, err = remote.Index(tag(t, host), as(again))
		require.NoError(t, err)
	}
	_, err = remote.Index(tag(t, host))
	require.NoError(t, err, "anonymous")
	status, _ := call(t, http.MethodGet, "http://"+host+"/v2/"+pkg+"/manifests/1.2.0-debug", "", nil)
	require.Equal(t, http.StatusUnauthorized, status, "but with a token")
	_, host = open(t, dir, time.Now)
	_, err = remote.Index(tag(t, host))
	require.NoError(t, err, "after a restart")
}

// rights are those of a job's tokens with packages: read and write, and of somebody else.
func rights(password string) (registry.Rights, bool) {
	r, known := map[string]registry.Rights{"": {}, "stranger": {}, "reader": {Read: true},
		"writer": {Read: true, Write: true}}[password]
	return r, known
}

func requireStatus(t *testing.T, err error, status int) {
	t.Helper()
	var answer *transport.Error
	require.ErrorAs(t, err, &answer)
	require.Equal(t, status, answer.StatusCode, "%v", err)
}

// Whoever may read gets a token for pushing, too: only its use is refused.
func TestPushingNeedsTheRightToWrite(t *testing.T) {
	t.Parallel()
	_, host := openWith(t, registry.Options{Dir: t.TempDir(), Token: password, Now: time.Now, Rights: rights})
	for _, who := range []string{"reader", "stranger"} {
		requireStatus(t, remote.WriteIndex(tag(t, host), index(t), as(who)), http.StatusForbidden)
	}
	require.NoError(t, remote.WriteIndex(tag(t, host), index(t), as("writer")))
	err := remote.WriteIndex(tag(t, host), index(t), as("reader"))
	requireStatus(t, err, http.StatusForbidden)
}

// Of a package that there is not, GHCR may say no more than of one that is
// hidden; once it is there, a missing tag is a 404.
func TestAHeadOfNoPackageIsDenied(t *testing.T) {
	t.Parallel()
	for honest, want := range map[bool]int{false: http.StatusForbidden, true: http.StatusNotFound} {
		_, host := openWith(t, registry.Options{Dir: t.TempDir(), Token: password, Now: time.Now, Rights: rights,
			Honest: honest})
		_, err := remote.Head(tag(t, host), as("writer"))
		requireStatus(t, err, want)
		_, err = remote.Head(tag(t, host), as("reader"))
		requireStatus(t, err, http.StatusForbidden)
		require.NoError(t, remote.WriteIndex(tag(t, host), index(t), as("writer")))
		_, err = remote.Head(tag(t, host).Context().Tag("other"), as("writer"))
		requireStatus(t, err, http.StatusNotFound)
	}
}

// There is no referrers API: clients fall back to a tag.
func TestNoReferrers(t *testing.T) {
	t.Parallel()
	r, host := open(t, t.TempDir(), time.Now)
	pushed := index(t)
	require.NoError(t, remote.WriteIndex(tag(t, host), pushed, as(password)))
	require.NoError(t, r.MakePublic(pkg))
	digest, err := pushed.Digest()
	require.NoError(t, err)
	status, _ := call(t, http.MethodGet, "http://"+host+"/v2/"+pkg+"/referrers/"+digest.String(),
		bearer(t, host, "repository:"+pkg+":pull"), nil)
	require.Equal(t, http.StatusNotFound, status)
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
	_, err = remote.Index(tag(t, host), as(password))
	require.NoError(t, err)
}

// "TOOMANYREQUESTS: retry-after: 10.305464ms, allowed: 2000/minute": the pause is in the message, not in a header.
func TestLimit(t *testing.T) {
	t.Parallel()
	r, host := open(t, t.TempDir(), time.Now)
	r.Fail(1, http.StatusTooManyRequests)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host+"/v2/", http.NoBody)
	require.NoError(t, err)
	status, body, header := do(t, req)
	require.Equal(t, http.StatusTooManyRequests, status)
	require.Contains(t, string(body), `"code":"TOOMANYREQUESTS","message":"retry-after: `)
	require.Empty(t, header.Get("Retry-After"))
}

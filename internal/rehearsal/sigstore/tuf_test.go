package sigstore_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/calimero-network/mero-tee/internal/rehearsal/sigstore"
)

// bucket is a TUF repository and the clock by which it signs.
type bucket struct {
	*sigstore.TUF
	dir string
	now time.Time
}

func newBucket(t *testing.T) *bucket {
	t.Helper()
	b := &bucket{dir: t.TempDir(), now: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}
	b.open(t)
	require.NoError(t, b.Publish(map[string][]byte{"a.json": []byte("one")}))
	return b
}

func (b *bucket) open(t *testing.T) {
	t.Helper()
	var err error
	b.TUF, err = sigstore.OpenTUF(b.dir, func() time.Time { return b.now })
	require.NoError(t, err)
}

func (b *bucket) get(method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	b.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

func parsed[T metadata.Roles](t *testing.T, b *bucket, into *metadata.Metadata[T], path string) T {
	t.Helper()
	answer := b.get(http.MethodGet, path)
	require.Equal(t, http.StatusOK, answer.Code, path)
	m, err := into.FromBytes(answer.Body.Bytes())
	require.NoError(t, err)
	return m.Signed
}

// Metadata is reached by its version and targets by their hash; of the rest nothing is there.
func TestTUFHasConsistentSnapshots(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	root := parsed(t, b, metadata.Root(), "/1.root.json")
	require.True(t, root.ConsistentSnapshot)
	const one = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
	require.Equal(t, "one", b.get(http.MethodGet, "/targets/"+one+".a.json").Body.String())
	for _, path := range []string{"/root.json", "/snapshot.json", "/targets.json", "/2.root.json", "/targets/a.json",
		"/1.timestamp.json", "/", "/../keys/online.pem", "/keys/online.pem", "/targets/../timestamp.json"} {
		answer := b.get(http.MethodGet, path)
		require.Equal(t, http.StatusNotFound, answer.Code, path)
		require.Contains(t, answer.Body.String(), "<Code>NoSuchKey</Code>", path)
	}
	require.Equal(t, http.StatusMethodNotAllowed, b.get(http.MethodPut, "/timestamp.json").Code)
}

// Three of five people sign what is kept for long, one key what is renewed by itself.
func TestTUFRoles(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	root := parsed(t, b, metadata.Root(), "/1.root.json")
	for role, want := range map[string]struct{ keys, threshold int }{
		metadata.ROOT: {5, 3}, metadata.TARGETS: {5, 3}, metadata.SNAPSHOT: {1, 1}, metadata.TIMESTAMP: {1, 1}} {
		require.Len(t, root.Roles[role].KeyIDs, want.keys, role)
		require.Equal(t, want.threshold, root.Roles[role].Threshold, role)
	}
	require.Equal(t, b.now.AddDate(0, 0, 7), parsed(t, b, metadata.Timestamp(), "/timestamp.json").Expires)
	require.Equal(t, b.now.AddDate(0, 0, 197), root.Expires)
}

// People who did not sign are named all the same, with nothing for a signature.
func TestTUFNamesWhoDidNotSign(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	for _, path := range []string{"/1.root.json", "/1.targets.json"} {
		body := b.get(http.MethodGet, path).Body.String()
		require.Equal(t, 5, strings.Count(body, `"keyid": "`), path)
		require.Equal(t, 2, strings.Count(body, `"sig": ""`), path)
	}
}

// A publication signs a new timestamp; targets get a new version when one of them changed.
func TestTUFPublishes(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	require.NoError(t, b.Publish(map[string][]byte{"a.json": []byte("one")}))
	stamp := parsed(t, b, metadata.Timestamp(), "/timestamp.json")
	require.EqualValues(t, 2, stamp.Version)
	require.EqualValues(t, 1, stamp.Meta["snapshot.json"].Version)
	require.NoError(t, b.Publish(map[string][]byte{"a.json": []byte("two")}))
	stamp = parsed(t, b, metadata.Timestamp(), "/timestamp.json")
	require.EqualValues(t, 2, stamp.Meta["snapshot.json"].Version)
	require.EqualValues(t, 2, parsed(t, b, metadata.Snapshot(), "/2.snapshot.json").Meta["targets.json"].Version)
}

// The root is renewed before it ends, by the same people.
func TestTUFRenewsItsRoot(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	b.now = b.now.AddDate(0, 0, 150)
	b.open(t)
	require.Equal(t, http.StatusNotFound, b.get(http.MethodGet, "/2.root.json").Code)
	b.now = b.now.AddDate(0, 0, 2)
	b.open(t)
	require.Equal(t, b.now.AddDate(0, 0, 197), parsed(t, b, metadata.Root(), "/2.root.json").Expires)
}

func TestTUFKeysAreTheOwnersAlone(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	keys, err := filepath.Glob(filepath.Join(b.dir, "keys", "*"))
	require.NoError(t, err)
	require.Len(t, keys, 6)
	for _, k := range keys {
		info, err := os.Stat(k)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), k)
	}
	require.NoError(t, os.WriteFile(filepath.Join(b.dir, "keys", "online.pem"), []byte("nonsense"), 0o600))
	require.ErrorContains(t, b.Publish(nil), "holds no key")
}

// The public instance's front refuses for a while, with a page, and may say for how long.
func TestLimit(t *testing.T) {
	t.Parallel()
	for _, silent := range []bool{false, true} {
		now := time.Unix(0, 0)
		h := sigstore.Limit{Lasts: 30 * time.Second, Silent: silent, Now: func() time.Time { return now }}.
			Before(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) }))
		ask := func() *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/api/v1/log/entries", nil))
			return w
		}
		require.Equal(t, http.StatusTooManyRequests, ask().Code)
		now = now.Add(10500 * time.Millisecond)
		refusal := ask()
		require.Contains(t, refusal.Header().Get("Content-Type"), "text/html")
		require.Contains(t, refusal.Body.String(), "429 Too Many Requests")
		require.Equal(t, map[bool]string{false: "20", true: ""}[silent], refusal.Header().Get("Retry-After"))
		now = now.Add(20 * time.Second)
		require.Equal(t, http.StatusCreated, ask().Code)
	}
}

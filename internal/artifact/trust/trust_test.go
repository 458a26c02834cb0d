package trust_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/artifact/trust"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/rehearsal/sigstore"
)

const day = 24 * time.Hour

// world is a TUF repository and a client of it, over a transport that a test may disturb.
type world struct {
	tuf     *sigstore.TUF
	options trust.Options
	now     time.Time
	asked   []string
	waited  time.Duration
	disturb func(r *http.Request, answer *http.Response) (*http.Response, error) // may be nil
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{now: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}
	var err error
	w.tuf, err = sigstore.OpenTUF(t.TempDir(), w.clock)
	require.NoError(t, err)
	w.publish(t, "trusted_root.json")
	root, err := w.tuf.InitialRoot()
	require.NoError(t, err)
	w.options = trust.Options{Root: root, Cache: t.TempDir(), Transport: w, Now: w.clock,
		Wait: func(_ context.Context, d time.Duration) error { w.waited += d; return nil }}
	return w
}

func (w *world) clock() time.Time { return w.now }

// publish makes a file of this package's testdata the trusted root.
func (w *world) publish(t *testing.T, name string) {
	t.Helper()
	read := func(name string) []byte {
		raw, err := os.ReadFile(filepath.Join("testdata", name))
		require.NoError(t, err)
		return raw
	}
	require.NoError(t, w.tuf.Publish(map[string][]byte{trust.RootTarget: read(name),
		trust.SigningTarget: read("signing_config.json")}))
}

// RoundTrip answers for the repository's host alone.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme+"://"+r.URL.Host != trust.Mirror {
		return nil, errors.New("no such host: " + r.URL.Host)
	}
	w.asked = append(w.asked, r.URL.Path)
	recorder := httptest.NewRecorder()
	w.tuf.ServeHTTP(recorder, r)
	answer := recorder.Result()
	if w.disturb != nil {
		return w.disturb(r, answer)
	}
	return answer, nil
}

// client is one that has seen nothing but what is in the folder.
func (w *world) client() *trust.Repository { return trust.New(w.options) }

func (w *world) cut(*http.Request, *http.Response) (*http.Response, error) {
	return nil, errors.New("network is unreachable")
}

// refused demands an error with this code that says so.
func refused(t *testing.T, err error, code fault.Code, says string) {
	t.Helper()
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Equal(t, code, f.Code)
	require.Contains(t, f.Message+" "+f.Expected+" "+f.Got, says)
	require.NotEmpty(t, f.Hint)
}

func TestAsksOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.client()
	tm, err := c.TrustedRoot(t.Context())
	require.NoError(t, err)
	require.Len(t, tm.RekorLogs(), 1)
	sc, err := c.SigningConfig(t.Context())
	require.NoError(t, err)
	require.Equal(t, "https://rekor.sigstore.dev", sc.RekorLogURLs()[0].URL)
	status, err := c.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, trust.Status{Root: 1, RootEnds: w.now.Add(197 * day), Ends: w.now.Add(7 * day)}, status)
	raw, err := c.TrustedRootFile(t.Context())
	require.NoError(t, err)
	again, err := root.NewTrustedRootFromJSON(raw)
	require.NoError(t, err)
	require.Equal(t, tm, again, "the file is the very root that is believed")
	asked := len(w.asked)
	require.Equal(t, []string{"/2.root.json", "/timestamp.json", "/1.snapshot.json", "/1.targets.json"}, w.asked[:4])
	_, err = c.TrustedRoot(t.Context())
	require.NoError(t, err)
	require.Len(t, w.asked, asked)
}

// A rotated root is followed, and what it signs is believed without the network too.
func TestFollowsARotatedRoot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.client().TrustedRoot(t.Context())
	require.NoError(t, err)
	for range 2 {
		require.NoError(t, w.tuf.Rotate())
	}
	c := w.client()
	status, err := c.Status(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 3, status.Root)
	_, err = c.TrustedRoot(t.Context())
	require.NoError(t, err)

	w.disturb = w.cut
	offline := w.client()
	_, err = offline.TrustedRoot(t.Context())
	require.NoError(t, err)
	status, err = offline.Status(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 3, status.Root)
	require.ErrorContains(t, status.Unasked, "network is unreachable")
}

// A root that only the new people signed is nobody's successor.
func TestRefusesARootOfOthers(t *testing.T) {
	t.Parallel()
	w, other := newWorld(t), newWorld(t)
	require.NoError(t, other.tuf.Rotate())
	w.disturb = func(r *http.Request, answer *http.Response) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, ".root.json") {
			return other.RoundTrip(r)
		}
		return answer, nil
	}
	_, err := w.client().TrustedRoot(t.Context())
	refused(t, err, fault.Verification, "not to be believed")
	w.disturb = func(r *http.Request, _ *http.Response) (*http.Response, error) { return other.RoundTrip(r) }
	_, err = w.client().TrustedRoot(t.Context())
	refused(t, err, fault.Verification, "not to be believed")
}

// What ended is refused, and so is what was changed: also when a good copy of an earlier look is there.
func TestRefusesWhatIsNotSigned(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"timestamp": "timestamp.json", "snapshot": ".snapshot.json",
		"targets": ".targets.json", "trusted root": "trusted_root.json"} {
		for _, seen := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				if seen {
					_, err := w.client().TrustedRoot(t.Context())
					require.NoError(t, err)
					w.publish(t, "other_root.json")
				}
				w.disturb = func(r *http.Request, answer *http.Response) (*http.Response, error) {
					if strings.HasSuffix(r.URL.Path, path) {
						return changed(t, answer), nil
					}
					return answer, nil
				}
				_, err := w.client().TrustedRoot(t.Context())
				refused(t, err, fault.Verification, "not to be believed")
				w.disturb = nil
				_, err = w.client().TrustedRoot(t.Context())
				require.NoError(t, err, "what was refused left nothing behind")
			})
		}
	}
}

// changed is an answer in which one digit is another: of a date in what is signed, or the first one of a target. A
// digit anywhere would at times be one of a key that signed nothing, which changes nothing.
func changed(t *testing.T, answer *http.Response) *http.Response {
	t.Helper()
	var body bytes.Buffer
	_, err := body.ReadFrom(answer.Body)
	require.NoError(t, err)
	raw := body.Bytes()
	at := max(0, bytes.Index(raw, []byte(`"expires"`)))
	at += bytes.IndexAny(raw[at:], "0123456789")
	raw[at] = '0' + (raw[at]-'0'+1)%10
	recorder := httptest.NewRecorder()
	_, err = recorder.Write(raw)
	require.NoError(t, err)
	return recorder.Result()
}

func TestRefusesWhatHasEnded(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		after time.Duration
		says  string
	}{
		"timestamp": {7*day + time.Second, "timestamp.json is expired"},
		"root":      {198 * day, "final root.json is expired"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.now = w.now.Add(tc.after)
			_, err := w.client().TrustedRoot(t.Context())
			refused(t, err, fault.Verification, tc.says)
		})
	}
}

// An older timestamp than the one that was seen is somebody's attempt to hide what came after it.
func TestRefusesToGoBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := httptest.NewRecorder()
	w.tuf.ServeHTTP(old, httptest.NewRequest(http.MethodGet, "/timestamp.json", nil))
	w.publish(t, "other_root.json")
	_, err := w.client().TrustedRoot(t.Context())
	require.NoError(t, err)
	w.disturb = func(r *http.Request, answer *http.Response) (*http.Response, error) {
		if r.URL.Path == "/timestamp.json" {
			return old.Result(), nil
		}
		return answer, nil
	}
	_, err = w.client().TrustedRoot(t.Context())
	refused(t, err, fault.Verification, "new timestamp version")
}

// "Could not look" is no verdict: without a copy it is an error of its own, with one it is enough until that ends.
func TestWithoutTheRepository(t *testing.T) {
	t.Parallel()
	status := func(code int) func(*http.Request, *http.Response) (*http.Response, error) {
		return func(*http.Request, *http.Response) (*http.Response, error) {
			recorder := httptest.NewRecorder()
			recorder.WriteHeader(code)
			return recorder.Result(), nil
		}
	}
	for name, disturb := range map[string]func(*http.Request, *http.Response) (*http.Response, error){
		"no network": (*world)(nil).cut, "down": status(http.StatusServiceUnavailable),
		"no such bucket": status(http.StatusNotFound), "limited": status(http.StatusTooManyRequests),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.disturb = disturb
			_, err := w.client().TrustedRoot(t.Context())
			refused(t, err, fault.General, "could not be asked")

			w.disturb = nil
			_, err = w.client().TrustedRoot(t.Context())
			require.NoError(t, err)
			w.disturb = disturb
			_, err = w.client().TrustedRoot(t.Context())
			require.NoError(t, err)
			_, err = w.client().SigningConfig(t.Context())
			refused(t, err, fault.General, "no copy of signing_config.v0.2.json")
			w.now = w.now.Add(8 * day)
			_, err = w.client().TrustedRoot(t.Context())
			refused(t, err, fault.General, "timestamp.json is expired")
		})
	}
}

func TestAsksAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	failures := 2
	w.disturb = func(_ *http.Request, answer *http.Response) (*http.Response, error) {
		if failures--; failures >= 0 {
			return &http.Response{StatusCode: http.StatusTooManyRequests, Body: http.NoBody,
				Header: http.Header{"Retry-After": {"9"}}}, nil
		}
		return answer, nil
	}
	_, err := w.client().TrustedRoot(t.Context())
	require.NoError(t, err)
	require.GreaterOrEqual(t, w.waited, 18*time.Second)
}

// A copy that was damaged on disk is not believed: without the network there is none.
func TestDamagedCopy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.tuf.Rotate())
	_, err := w.client().TrustedRoot(t.Context())
	require.NoError(t, err)
	files, err := filepath.Glob(filepath.Join(w.options.Cache, "*", "*.json"))
	require.NoError(t, err)
	more, err := filepath.Glob(filepath.Join(w.options.Cache, "*", "*", "*.json"))
	require.NoError(t, err)
	for _, path := range append(files, more...) {
		if filepath.Base(path) == "root.json" {
			continue // go-tuf writes it, and reads it nowhere
		}
		good, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, append([]byte("x"), good...), 0o600))
		w.disturb = w.cut
		_, err = w.client().TrustedRoot(t.Context())
		refused(t, err, fault.General, "could not be asked")
		w.disturb = nil
		_, err = w.client().TrustedRoot(t.Context())
		require.NoError(t, err, "%s is fetched anew", path)
	}
}

// "No environment variable adds or replaces a root": neither cosign's variables nor its files are read.
func TestNothingElseReplacesTheRoot(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	for _, name := range []string{"TUF_MIRROR", "TUF_ROOT", "TUF_ROOT_JSON"} {
		t.Setenv(name, "http://127.0.0.1:1/")
	}
	folder := filepath.Join(home, ".sigstore", "root")
	require.NoError(t, os.MkdirAll(folder, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "remote.json"), []byte(`{"mirror":"http://127.0.0.1:1/"}`),
		0o600))
	w := newWorld(t)
	_, err := w.client().TrustedRoot(t.Context())
	require.NoError(t, err)
	left, err := filepath.Glob(filepath.Join(folder, "*"))
	require.NoError(t, err)
	require.Len(t, left, 1, "and nothing is written there")
}

// The root that production begins with is one, and does not believe the rehearsal's repository.
func TestPublicRoot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.options.Root = trust.PublicRoot()
	_, err := w.client().TrustedRoot(t.Context())
	refused(t, err, fault.Verification, "not to be believed")
	w.options.Root = []byte("{}")
	_, err = w.client().TrustedRoot(t.Context())
	require.Equal(t, fault.Usage, fault.CodeOf(err))
}

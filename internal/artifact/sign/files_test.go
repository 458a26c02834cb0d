package sign_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/artifact/sign"
	"github.com/calimero-network/mero-tee/internal/artifact/signature"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// counting lets requests through and counts them by path; fail may answer instead.
type counting struct {
	certificates, entries atomic.Int32
	fail                  func(r *http.Request) *http.Response // may be nil
}

func (c *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.fail != nil {
		if response := c.fail(r); response != nil {
			return response, nil
		}
	}
	switch r.URL.Path {
	case "/api/v2/signingCert":
		c.certificates.Add(1)
	case "/api/v2/log/entries", "/api/v1/log/entries":
		c.entries.Add(1)
	}
	return http.DefaultTransport.RoundTrip(r)
}

// signerOver makes a signer of the shared instance whose requests go through transport.
func signerOver(t testing.TB, transport http.RoundTripper, config string) sign.SignerFunc {
	t.Helper()
	sc, err := root.NewSigningConfigFromPath(config)
	require.NoError(t, err)
	return func(ctx context.Context) (*sign.Signer, error) {
		return sign.NewSigner(ctx, sign.Config{SigningConfig: sc, Token: tokenOf(instance, identity), Transport: transport})
	}
}

// never is the signer of a release in which everything is signed.
func never(context.Context) (*sign.Signer, error) {
	return nil, errors.New("a signer was asked for")
}

func assets(t testing.TB, n int) (dir string, names []string) {
	t.Helper()
	dir = t.TempDir()
	for i := range n {
		names = append(names, fmt.Sprintf("asset-%02d.json", i))
		writeFile(t, dir, names[i], []byte(names[i]))
	}
	return dir, names
}

func TestFilesSignsOnceAndKeepsAfterwards(t *testing.T) {
	t.Parallel()
	dir, names := assets(t, 40)
	v, traffic := newVerifier(t, instance, identity), &counting{}
	r, err := sign.Files(t.Context(), signerOver(t, traffic, instance.SigningConfigPath), v, dir, names)
	require.NoError(t, err)
	require.Equal(t, sign.Result{Signed: names}, r)
	require.EqualValues(t, 1, traffic.certificates.Load(), "one certificate per release")
	require.EqualValues(t, 40, traffic.entries.Load())

	r, err = sign.Files(t.Context(), never, v, dir, names)
	require.NoError(t, err)
	require.Equal(t, sign.Result{Kept: names}, r)
}

// A resumed release: only what is missing, damaged, outdated or not in our form is signed anew.
func TestFilesRepairs(t *testing.T) {
	t.Parallel()
	dir, names := assets(t, 7)
	v, signer := newVerifier(t, instance, identity), signerOver(t, nil, instance.SigningConfigPath)
	_, err := sign.Files(t.Context(), signer, v, dir, names)
	require.NoError(t, err)
	kept, err := os.ReadFile(filepath.Join(dir, names[0]+release.BundleSuffix))
	require.NoError(t, err)

	require.NoError(t, os.Remove(filepath.Join(dir, names[1]+release.BundleSuffix)))
	writeFile(t, dir, names[2], []byte("other bytes"))
	writeFile(t, dir, names[3]+release.BundleSuffix, kept)
	writeFile(t, dir, names[4]+release.BundleSuffix, bytes.Repeat([]byte("x"), 2*signature.MaxBundleSize))
	good, err := os.ReadFile(filepath.Join(dir, names[5]+release.BundleSuffix))
	require.NoError(t, err)
	writeFile(t, dir, names[5]+release.BundleSuffix, bytes.TrimSpace(good))
	r, err := sign.Files(t.Context(), signer, v, dir, names)
	require.NoError(t, err)
	require.Equal(t, sign.Result{Kept: []string{names[0], names[6]}, Signed: names[1:6]}, r)
	after, err := os.ReadFile(filepath.Join(dir, names[0]+release.BundleSuffix))
	require.NoError(t, err)
	require.Equal(t, kept, after)
	_, err = sign.Files(t.Context(), never, v, dir, names)
	require.NoError(t, err)
}

func TestFilesFailures(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, instance, identity)
	t.Run("asset missing", func(t *testing.T) {
		t.Parallel()
		dir, names := assets(t, 1)
		_, err := sign.Files(t.Context(), never, v, dir, append(names, "gone.json"))
		require.Error(t, err)
		_, err = sign.Files(t.Context(), signerOver(t, nil, instance.SigningConfigPath), v, dir, []string{"gone.json"})
		require.Equal(t, fault.MissingAsset, fault.CodeOf(err))
		require.ErrorIs(t, err, os.ErrNotExist)
	})
	t.Run("signed as someone else is not written", func(t *testing.T) {
		t.Parallel()
		dir, names := assets(t, 1)
		other := identity
		other.Tag.Version.Minor++
		_, err := sign.Files(t.Context(), signerOver(t, nil, instance.SigningConfigPath), newVerifier(t, instance, other),
			dir, names)
		require.Equal(t, fault.Verification, fault.CodeOf(err))
		require.NoFileExists(t, filepath.Join(dir, names[0]+release.BundleSuffix))
	})
	t.Run("cancelled", func(t *testing.T) {
		t.Parallel()
		dir, names := assets(t, 1)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := sign.Files(ctx, signerOver(t, nil, instance.SigningConfigPath), v, dir, names)
		require.ErrorIs(t, err, context.Canceled)
	})
}

func answer(r *http.Request, status int) *http.Response {
	return &http.Response{StatusCode: status, Status: fmt.Sprint(status), Header: http.Header{}, Body: http.NoBody,
		Request: r}
}

// Each server stumbles once, in each of the ways that may pass: the release is signed all the same.
func TestSignRetries(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		path, config string
		status       int
	}{
		"fulcio busy":              {"/api/v2/signingCert", instance.SigningConfigPath, http.StatusTooManyRequests},
		"timestamp authority down": {"/api/v1/timestamp", instance.SigningConfigPath, http.StatusBadGateway},
		"rekor v2 down":            {"/api/v2/log/entries", instance.SigningConfigRekorV2Path, http.StatusServiceUnavailable},
		"rekor v2 conflict":        {"/api/v2/log/entries", instance.SigningConfigRekorV2Path, http.StatusConflict},
		"rekor v1 down":            {"/api/v1/log/entries", instance.SigningConfigPath, http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stumbled atomic.Bool
			traffic := &counting{fail: func(r *http.Request) *http.Response {
				if r.URL.Path == c.path && stumbled.CompareAndSwap(false, true) {
					return answer(r, c.status)
				}
				return nil
			}}
			s, err := signerOver(t, traffic, c.config)(t.Context())
			require.NoError(t, err)
			digest, raw := signedWith(t, s)
			require.True(t, stumbled.Load())
			_, err = newVerifier(t, instance, identity).Verify(digest, raw)
			require.NoError(t, err)
		})
	}
}

// A server that goes on refusing ends the attempts; nothing loops.
func TestSignGivesUp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		path         string
		status, want int32
	}{
		"refused":     {"/api/v1/log/entries", http.StatusBadRequest, 2},
		"always down": {"/api/v1/log/entries", http.StatusBadGateway, 8},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			s, err := signerOver(t, &counting{fail: func(r *http.Request) *http.Response {
				if r.URL.Path != c.path {
					return nil
				}
				asked.Add(1)
				return answer(r, int(c.status))
			}}, instance.SigningConfigPath)(t.Context())
			require.NoError(t, err)
			_, err = s.Sign(t.Context(), sha256.Sum256(nil))
			require.Equal(t, fault.General, fault.CodeOf(err))
			require.ErrorContains(t, err, fmt.Sprint(c.status))
			require.Equal(t, c.want, asked.Load())
		})
	}
}

// Signing shares a signer and a verifier between goroutines; -race watches.
func BenchmarkFiles40(b *testing.B) {
	v, signer := newVerifier(b, instance, identity), signerOver(b, nil, instance.SigningConfigPath)
	for b.Loop() {
		dir, names := assets(b, 40)
		if _, err := sign.Files(b.Context(), signer, v, dir, names); err != nil {
			b.Fatal(err)
		}
	}
}

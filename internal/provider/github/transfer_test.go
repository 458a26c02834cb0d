package github_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/github"
)

// go-gh rewrites control characters in JSON; an SBOM or a bundle must come back as it went.
func TestDownloadsAreByteExact(t *testing.T) {
	t.Parallel()
	want := "{\"evil\":\"\x1b[31m \\u001b \u009b\"}\r\n"
	w := newWorld(t, nil)
	w.public("v1", "a.json", want)
	for _, token := range []string{token, ""} {
		rel, err := w.client(token).ReleaseByTag(t.Context(), "v1")
		require.NoError(t, err)
		var got bytes.Buffer
		require.NoError(t, w.client(token).Download(t.Context(), rel.Assets[0], &got))
		require.Equal(t, want, got.String())
	}
}

func TestDownloadRefusesOtherBytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	_, a := w.public("v1", "a.json", "{\"a\":1}\n")
	for name, change := range map[string]func(*github.Asset){
		"shorter than it is": func(a *github.Asset) { a.Size-- },
		"longer than it is":  func(a *github.Asset) { a.Size++ },
		"another digest":     func(a *github.Asset) { a.Digest = "sha256:" + strings.Repeat("0", 64) },
	} {
		other := a
		change(&other)
		err := w.client(token).Download(t.Context(), other, io.Discard)
		require.Equal(t, fault.Verification, fault.CodeOf(err), name)
	}
	a.ID += 100
	require.ErrorIs(t, w.client(token).Download(t.Context(), a, io.Discard), github.ErrNotFound)
}

func TestRedirectsAreHttpsAndFew(t *testing.T) {
	t.Parallel()
	for to, complaint := range map[string]string{
		"http://release-assets.githubusercontent.com/x?sig=signature": "not https",
		"https://api.github.com/again?sig=signature":                  "more than 5 redirects",
		"https://elsewhere.example/x?sig=signature":                   "no outside host",
	} {
		w := newWorld(t, func(http.Handler) http.Handler { return http.RedirectHandler(to, http.StatusFound) })
		err := w.client(token).Download(t.Context(), github.Asset{ID: 1, Name: "a", Size: 1}, io.Discard)
		require.ErrorContains(t, err, complaint)
		require.NotContains(t, err.Error(), "signature", "a pre-signed address is a secret")
		require.NotContains(t, err.Error(), token)
		for _, r := range w.requests {
			require.Equal(t, r.URL.Path == "/repos/"+repository+"/releases/assets/1", r.Header.Get("Authorization") != "",
				r.URL.String())
		}
	}
}

func TestUploadRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	c := w.client(token)
	rel := w.draft(c, "v1")
	for _, name := range []string{"", ".", "..", "../a", "a/b", `a\b`, ".hidden", "a.", "a b", "ä", "a\n", "a\x00",
		strings.Repeat("a", 300)} {
		_, err := c.Upload(t.Context(), rel, file(name, "x"))
		require.Equal(t, fault.Usage, fault.CodeOf(err), "%q", name)
	}
	_, err := c.Upload(t.Context(), rel, file("empty", ""))
	require.Equal(t, fault.Usage, fault.CodeOf(err))
	for _, url := range []string{"https://evil.example/{?name,label}", "http://uploads.github.com/x{?name}",
		"https://uploads.github.com.evil.example/", "%"} {
		elsewhere := *rel
		elsewhere.UploadURL = url
		_, err := c.Upload(t.Context(), &elsewhere, file("a", "x"))
		require.ErrorContains(t, err, "upload URL", url)
	}
	wrong := file("a", "content")
	wrong.Digest = "sha256:" + strings.Repeat("0", 64)
	_, err = c.Upload(t.Context(), rel, wrong)
	require.Equal(t, fault.Verification, fault.CodeOf(err))
	_, err = c.Upload(t.Context(), rel, file("a", "other bytes"))
	require.Equal(t, fault.Verification, fault.CodeOf(err), "the name is taken by other bytes")
}

func TestDeletingAnAssetTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	_, a := w.public("v1", "a.json", "x")
	require.NoError(t, w.client(token).DeleteAsset(t.Context(), a.ID))
	require.NoError(t, w.client(token).DeleteAsset(t.Context(), a.ID))
	require.Error(t, w.client("").DeleteAsset(t.Context(), a.ID))
}

// zeros is n bytes that are nowhere in memory.
type zeros struct{ n int64 }

func (z *zeros) Read(b []byte) (int, error) {
	if z.n == 0 {
		return 0, io.EOF
	}
	n := min(z.n, int64(len(b)))
	clear(b[:n])
	z.n -= n
	return int(n), nil
}

// Not parallel: it looks at the whole process's allocations.
func TestAHugeAssetIsStreamed(t *testing.T) {
	const size = 96 << 20
	w := newWorld(t, nil)
	c := w.client(token)
	rel := w.draft(c, "v1")
	sum := sha256.New()
	_, err := io.Copy(sum, &zeros{size})
	require.NoError(t, err)
	f := github.File{Name: "disk.raw", Size: size, Digest: "sha256:" + hex.EncodeToString(sum.Sum(nil)),
		ContentType: "application/octet-stream",
		Open:        func() (io.ReadCloser, error) { return io.NopCloser(&zeros{size}), nil }}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	a, err := c.Upload(t.Context(), rel, f)
	require.NoError(t, err)
	require.NoError(t, c.Download(t.Context(), a, io.Discard))
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(16<<20), "client and server together, for 192 MB moved")
}

// The connection of a download may break within the bytes: what came is kept, and the rest is asked for again.
func TestADownloadThatBreaksOffGoesOn(t *testing.T) {
	t.Parallel()
	content := strings.Repeat("{\"a\":1}\n", 1000)
	for name, other := range map[string]string{"the same bytes": content, "others": strings.ToUpper(content)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broken := 2
			w := newWorld(t, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Host != "release-assets.githubusercontent.com" || broken == 0 {
						next.ServeHTTP(w, r)
						return
					}
					broken--
					w.Header().Set("Content-Length", strconv.Itoa(len(other)))
					_, _ = io.WriteString(w, other[:len(other)/2-broken])
				})
			})
			_, a := w.public("v1", "a.json", content)
			var got bytes.Buffer
			err := w.client(token).Download(t.Context(), a, &got)
			if other != content {
				require.Equal(t, fault.Verification, fault.CodeOf(err))
				return
			}
			require.NoError(t, err)
			require.Equal(t, content, got.String())
		})
	}
}

// What cannot be written is not the network's fault: it is not asked for again.
func TestADownloadToAFullDisk(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	_, a := w.public("v1", "a.json", "{}\n")
	full := writerFunc(func([]byte) (int, error) { return 0, syscall.ENOSPC })
	require.ErrorIs(t, w.client(token).Download(t.Context(), a, full), syscall.ENOSPC)
	require.Empty(t, w.waits)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

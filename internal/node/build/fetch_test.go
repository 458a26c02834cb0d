package build_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/build"
	"github.com/calimero-network/mero-tee/internal/node/packer"
)

// archive is a .tar.gz with one entry of the type.
func archive(t *testing.T, name string, kind byte, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	packed := gzip.NewWriter(&b)
	files := tar.NewWriter(packed)
	h := &tar.Header{Name: name, Mode: 0o755, Typeflag: kind}
	if kind == tar.TypeReg {
		h.Size = int64(len(content))
	} else {
		h.Linkname = content
	}
	require.NoError(t, files.WriteHeader(h))
	if kind == tar.TypeReg {
		_, err := files.Write([]byte(content))
		require.NoError(t, err)
	}
	require.NoError(t, files.Close())
	require.NoError(t, packed.Close())
	return b.Bytes()
}

func TestFetch(t *testing.T) {
	t.Parallel()
	good := archive(t, "./dir/merod", tar.TypeReg, "a program")
	for name, tc := range map[string]struct {
		served []byte
		status int
		pin    func(*packer.Pin)
		code   fault.Code
		want   string // in the error
	}{
		"as pinned": {good, 200, func(*packer.Pin) {}, fault.Success, ""},
		"another archive": {archive(t, "dir/merod", tar.TypeReg, "another"), 200, func(p *packer.Pin) {
			p.SHA256 = digest.Of(good)
		}, fault.Verification, "merod is not what packer/companions.json pins"},
		"cut short": {good[:len(good)/2], 200, func(p *packer.Pin) { p.SHA256 = digest.Of(good) },
			fault.Verification, "is not what"},
		"not released":  {nil, 404, func(*packer.Pin) {}, fault.MissingAsset, "fetching merod"},
		"busy for ever": {nil, 503, func(*packer.Pin) {}, fault.General, "answered 503"},
		"not for us":    {nil, 403, func(*packer.Pin) {}, fault.General, "answered 403"},
		"no such member": {good, 200, func(p *packer.Pin) { p.Member = "merod" }, fault.MissingAsset,
			"does not hold the program"},
		"a link of its name": {archive(t, "dir/merod", tar.TypeSymlink, "/etc/passwd"), 200, func(*packer.Pin) {},
			fault.MissingAsset, "does not hold the program"},
		"no archive": {[]byte("hello"), 200, func(*packer.Pin) {}, fault.General, "is no .tar.gz"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tc.status)
				_, _ = w.Write(tc.served)
			}))
			defer s.Close()
			pin := packer.Pin{Name: "merod", Version: "1", URL: s.URL + "/merod.tar.gz", SHA256: digest.Of(tc.served),
				Member: "dir/merod"}
			tc.pin(&pin)
			to := filepath.Join(t.TempDir(), "merod")
			f := build.Fetcher{Transport: http.DefaultTransport,
				Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}
			err := f.Program(t.Context(), pin, to)
			if tc.code != fault.Success {
				require.Equal(t, tc.code, fault.CodeOf(err), "%v", err)
				require.ErrorContains(t, err, tc.want)
				require.NoFileExists(t, to)
				return
			}
			require.NoError(t, err)
			got, err := os.ReadFile(to)
			require.NoError(t, err)
			require.Equal(t, "a program", string(got))
			info, err := os.Stat(to)
			require.NoError(t, err)
			require.Equal(t, os.FileMode(0o755), info.Mode().Perm())
		})
	}
}

// A server that is busy, and an archive that broke off, are asked for again.
func TestFetchTriesAgain(t *testing.T) {
	t.Parallel()
	good := archive(t, "dir/merod", tar.TypeReg, "a program")
	asked := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		switch asked++; asked {
		case 1:
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusServiceUnavailable)
		case 2:
			w.Header().Set("Content-Length", strconv.Itoa(len(good)))
			_, _ = w.Write(good[:len(good)/2])
		default:
			_, _ = w.Write(good)
		}
	}))
	defer s.Close()
	var pauses []time.Duration
	f := build.Fetcher{Transport: http.DefaultTransport, Wait: func(ctx context.Context, d time.Duration) error {
		pauses = append(pauses, d)
		return ctx.Err()
	}}
	pin := packer.Pin{Name: "merod", Version: "1", URL: s.URL + "/merod.tar.gz", SHA256: digest.Of(good),
		Member: "dir/merod"}
	to := filepath.Join(t.TempDir(), "merod")
	require.NoError(t, f.Program(t.Context(), pin, to))
	require.Equal(t, []time.Duration{7 * time.Second, 2 * time.Second}, pauses)
	got, err := os.ReadFile(to)
	require.NoError(t, err)
	require.Equal(t, "a program", string(got))
}

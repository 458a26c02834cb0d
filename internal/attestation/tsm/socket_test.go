package tsm_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-configfs-tsm/configfs/configfsi"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/attestation/tsm"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
	"github.com/calimero-network/mero-tee/internal/release"
)

// served is a client, through a socket, of c.
func served(t *testing.T, c configfsi.Client) (client configfsi.Client, socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- tsm.Serve(l, c) }()
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		require.NoError(t, <-done)
	})
	return tsm.Dial(socket), socket
}

// The agent does over the socket what it does in process.
func TestTheAgentOverASocket(t *testing.T) {
	t.Parallel()
	pki, err := tdxsim.NewPKI([]byte("tsm"))
	require.NoError(t, err)
	platform, err := pki.NewPlatform(1)
	require.NoError(t, err)
	td := platform.NewTD(tdx.Register{1})
	_, socket := served(t, tdxsim.TSM(td, 4))
	client, err := tsm.Open(socket)
	require.NoError(t, err)
	a := &agent.Agent{TSM: client, Profile: release.Debug}
	require.NoError(t, a.ExtendProfile())
	require.Equal(t, tdx.ProfileRTMR3("debug"), td.Registers().RTMR3)
	require.ErrorContains(t, a.ExtendProfile(), "extended before")
	raw, err := a.Quote([64]byte{7})
	require.NoError(t, err)
	quote, err := tdx.ParseQuote(raw)
	require.NoError(t, err)
	require.Equal(t, [64]byte{7}, quote.ReportData)
}

const report = configfsi.TsmPrefix + "/report"

// fake answers every method with err, and remembers what it was asked.
type fake struct {
	err   error
	asked []string
}

func (f *fake) MkdirTemp(dir, pattern string) (string, error) {
	f.asked = append(f.asked, "mkdir "+dir+" "+pattern)
	return dir + "/made", f.err
}

func (f *fake) ReadDir(dir string) ([]os.DirEntry, error) {
	f.asked = append(f.asked, "list "+dir)
	entries, _ := os.ReadDir(".")
	return entries, f.err
}

func (f *fake) ReadFile(name string) ([]byte, error) {
	f.asked = append(f.asked, "read "+name)
	return []byte{0, 0xff}, f.err
}

func (f *fake) WriteFile(name string, contents []byte) error {
	f.asked = append(f.asked, "write "+name+" "+string(contents))
	return f.err
}

func (f *fake) RemoveAll(path string) error {
	f.asked = append(f.asked, "remove "+path)
	return f.err
}

func TestEachMethodOverASocket(t *testing.T) {
	t.Parallel()
	f := &fake{}
	client, _ := served(t, f)
	made, err := client.MkdirTemp(report, "entry*")
	require.NoError(t, err)
	require.Equal(t, report+"/made", made)
	data, err := client.ReadFile(made + "/outblob")
	require.NoError(t, err)
	require.Equal(t, []byte{0, 0xff}, data)
	entries, err := client.ReadDir(report)
	require.NoError(t, err)
	want, err := os.ReadDir(".")
	require.NoError(t, err)
	require.Len(t, entries, len(want))
	for i, e := range entries {
		require.Equal(t, want[i].Name(), e.Name())
		require.Equal(t, want[i].IsDir(), e.IsDir())
		require.Equal(t, want[i].Type(), e.Type())
		_, err := e.Info()
		require.ErrorIs(t, err, fs.ErrNotExist)
	}
	require.NoError(t, client.WriteFile(made+"/inblob", []byte("x")))
	require.NoError(t, client.RemoveAll(made))
	require.Equal(t, []string{"mkdir " + report + " entry*", "read " + made + "/outblob", "list " + report,
		"write " + made + "/inblob x", "remove " + made}, f.asked)
}

// go-configfs-tsm branches on what errors.Is says.
func TestErrorsOverASocket(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ err, is error }{
		"a number":                 {&os.PathError{Op: "write", Path: "inblob", Err: syscall.EINVAL}, syscall.EINVAL},
		"busy":                     {syscall.EWOULDBLOCK, syscall.EWOULDBLOCK},
		"a file that is not there": {&os.PathError{Op: "open", Path: "x", Err: syscall.ENOENT}, os.ErrNotExist},
		"os.ErrNotExist":           {os.ErrNotExist, os.ErrNotExist},
		"os.ErrExist":              {os.ErrExist, os.ErrExist},
		"os.ErrPermission":         {os.ErrPermission, os.ErrPermission},
		"os.ErrInvalid":            {fs.ErrInvalid, syscall.EINVAL},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, _ := served(t, &fake{err: tc.err})
			for _, err := range eachMethod(client, report) {
				require.ErrorIs(t, err, tc.is)
				require.EqualError(t, err, tc.err.Error())
			}
		})
	}
	client, _ := served(t, &fake{err: errors.New("no number")})
	_, err := client.ReadFile(report + "/x")
	require.EqualError(t, err, "no number")
	require.NotErrorIs(t, err, os.ErrNotExist)
}

func eachMethod(c configfsi.Client, path string) []error {
	_, mkdir := c.MkdirTemp(path, "x")
	_, list := c.ReadDir(path)
	_, read := c.ReadFile(path)
	return []error{mkdir, list, read, c.WriteFile(path, nil), c.RemoveAll(path)}
}

// Only configfs-tsm is behind the socket, whatever else the server's process can reach.
func TestNothingElseIsReachedThroughTheSocket(t *testing.T) {
	t.Parallel()
	f := &fake{}
	client, _ := served(t, f)
	for _, path := range []string{"", "/etc/passwd", configfsi.TsmPrefix, configfsi.TsmPrefix + "x/y",
		report + "/../../../../../etc/passwd"} {
		for _, err := range eachMethod(client, path) {
			require.ErrorIs(t, err, os.ErrPermission, path)
		}
	}
	require.Empty(t, f.asked)
}

func TestOversizedRequests(t *testing.T) {
	t.Parallel()
	f := &fake{}
	client, socket := served(t, f)
	require.ErrorContains(t, client.WriteFile(report+"/x", make([]byte, 64<<10)), "more than")
	raw := &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		Dial: func(string, string) (net.Conn, error) { return net.Dial("unix", socket) }}} //nolint:staticcheck // no context
	for _, body := range []string{strings.Repeat(" ", 64<<10+1), `{"path":"` + report + `","more":1}`, "x"} {
		resp, err := raw.Post("http://tsm/read-file", "application/json", strings.NewReader(body))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusBadRequest, resp.StatusCode)
	}
	require.Empty(t, f.asked)
}

// What answers at the socket is not believed blindly.
func TestBadAnswers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ answer, want string }{
		"oversized":        {strings.Repeat(" ", 2<<20+1), "more than 2097152 bytes"},
		"not JSON":         {"x", "invalid character"},
		"an unknown field": {`{"key":"x"}`, "unknown"},
		"not found":        {"", "answered 404"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
			require.NoError(t, err)
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if tc.answer == "" {
					w.WriteHeader(http.StatusNotFound)
				}
				_, _ = io.Copy(w, strings.NewReader(tc.answer))
			}))
			_ = s.Listener.Close()
			s.Listener = l
			s.Start()
			t.Cleanup(s.Close)
			_, err = tsm.Dial(l.Addr().String()).ReadFile(report)
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestNobodyAtTheSocket(t *testing.T) {
	t.Parallel()
	client, err := tsm.Open(filepath.Join(t.TempDir(), "s"))
	require.NoError(t, err)
	_, err = client.ReadFile(report)
	require.ErrorIs(t, err, os.ErrNotExist)
}

// FuzzServe shows that no request reaches a path outside of configfs-tsm or breaks the server.
func FuzzServe(f *testing.F) {
	f.Add("/read-file", []byte(`{"path":"`+report+`/x","pattern":"","data":null}`))
	f.Add("/mkdir-temp", []byte(`{"path":"`+report+`","pattern":"entry*","data":""}`))
	f.Add("/write-file", []byte(`{"path":"`+report+`/../../x","data":"AA=="}`))
	f.Fuzz(func(t *testing.T, method string, body []byte) {
		c := &fake{}
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		r.URL.Path = method
		tsm.Handler(c).ServeHTTP(w, r)
		for _, asked := range c.asked {
			_, path, _ := strings.Cut(asked, " ")
			require.True(t, strings.HasPrefix(filepath.Clean(path), configfsi.TsmPrefix+"/"), asked)
		}
	})
}

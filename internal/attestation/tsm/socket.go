package tsm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-configfs-tsm/configfs/configfsi"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/file"
)

// callPatience bounds one call: a quote takes hardware some seconds.
const callPatience = time.Minute

// Dial is a client of what Serve serves at a unix socket. It connects for each
// call, so that a socket that is not there is each call's error.
func Dial(path string) configfsi.Client {
	var d net.Dialer
	return remote{&http.Client{Timeout: callPatience, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return d.DialContext(ctx, "unix", path) }}}}
}

type remote struct{ http *http.Client }

func (r remote) MkdirTemp(dir, pattern string) (string, error) {
	a, err := r.call(mkdirTemp, request{Path: dir, Pattern: pattern})
	return a.Path, err
}

func (r remote) ReadDir(dir string) ([]os.DirEntry, error) {
	a, err := r.call(readDir, request{Path: dir})
	var out []os.DirEntry
	for _, entry := range a.Entries {
		out = append(out, entry)
	}
	return out, err
}

func (r remote) ReadFile(name string) ([]byte, error) {
	a, err := r.call(readFile, request{Path: name})
	return a.Data, err
}

func (r remote) WriteFile(name string, contents []byte) error {
	_, err := r.call(writeFile, request{Path: name, Data: contents})
	return err
}

func (r remote) RemoveAll(path string) error {
	_, err := r.call(removeAll, request{Path: path})
	return err
}

// call returns the results of the other side, its error among them.
func (r remote) call(method string, q request) (a answer, err error) {
	body, err := canonical.Marshal(q)
	if err != nil {
		return a, err
	}
	if len(body) > maxRequest {
		return a, fmt.Errorf("%s of %d bytes, more than %d", method, len(body), maxRequest)
	}
	//nolint:noctx // configfsi.Client has no context
	resp, err := r.http.Post("http://tsm"+method, "application/json", bytes.NewReader(body))
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(io.LimitReader(resp.Body, 200))
		return a, fmt.Errorf("%s: the socket's other side answered %d %s", method, resp.StatusCode,
			strings.TrimSpace(string(why)))
	}
	if err := decode(resp.Body, maxAnswer, &a); err != nil {
		return answer{}, fmt.Errorf("%s: %w", method, err)
	}
	if a.Error != nil {
		return a, a.Error
	}
	return a, nil
}

// requestPatience bounds the reading of one request.
const requestPatience = 30 * time.Second

// Serve lets others use a client through l, which should be a unix socket: who
// can connect can extend registers. It returns nil once l is closed.
func Serve(l net.Listener, c configfsi.Client) error {
	s := &http.Server{Handler: handler(c), ReadTimeout: requestPatience, MaxHeaderBytes: 8 << 10}
	err := s.Serve(l)
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return errors.Join(err, s.Close())
}

func handler(c configfsi.Client) http.Handler {
	mux := http.NewServeMux()
	for method, do := range map[string]func(request) answer{
		mkdirTemp: func(r request) answer {
			path, err := c.MkdirTemp(r.Path, r.Pattern)
			return answer{Path: path, Error: failure(err)}
		},
		readDir: func(r request) answer {
			entries, err := c.ReadDir(r.Path)
			return answer{Entries: items(entries), Error: failure(err)}
		},
		readFile: func(r request) answer {
			data, err := c.ReadFile(r.Path)
			return answer{Data: data, Error: failure(err)}
		},
		writeFile: func(r request) answer { return answer{Error: failure(c.WriteFile(r.Path, r.Data))} },
		removeAll: func(r request) answer { return answer{Error: failure(c.RemoveAll(r.Path))} },
	} {
		mux.HandleFunc("POST "+method, func(w http.ResponseWriter, r *http.Request) { serve(w, r, do) })
	}
	return mux
}

func serve(w http.ResponseWriter, r *http.Request, do func(request) answer) {
	var q request
	if err := decode(r.Body, maxRequest, &q); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	a := answer{Error: failure(&os.PathError{Op: r.URL.Path, Path: q.Path, Err: syscall.EPERM})}
	if below(q.Path) {
		a = do(q)
	}
	data, err := canonical.Marshal(a)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = w.Write(data) // nobody to tell when the other side is gone
}

func items(entries []os.DirEntry) []item {
	var out []item
	for _, e := range entries {
		out = append(out, item{e.Name(), e.IsDir()})
	}
	return out
}

// The methods of configfsi.Client are POST requests to the paths of this name.
const (
	mkdirTemp = "/mkdir-temp"
	readDir   = "/read-dir"
	readFile  = "/read-file"
	writeFile = "/write-file"
	removeAll = "/remove-all"
)

const (
	maxRequest = 64 << 10 // a quote's report data and a digest are some ten bytes
	maxAnswer  = 2 << 20  // a quote is some kilobytes
)

// request holds a method's arguments: Data is what is written, Pattern is MkdirTemp's.
type request struct {
	Path    string `json:"path"`
	Pattern string `json:"pattern"`
	Data    []byte `json:"data"`
}

// answer holds a method's results.
type answer struct {
	Path    string  `json:"path,omitempty"`    // of MkdirTemp
	Data    []byte  `json:"data,omitempty"`    // of ReadFile
	Entries []item  `json:"entries,omitempty"` // of ReadDir
	Error   *failed `json:"error,omitempty"`
}

// failed is an error on the other side: its text, and the kernel's number for it.
type failed struct {
	Message string `json:"message"`
	Errno   uint16 `json:"errno"` // of Linux; 0 when it has none
}

// Error and Unwrap make it the error that the other side had, as far as errors.Is can tell.
func (f *failed) Error() string { return f.Message }

func (f *failed) Unwrap() error {
	if f.Errno == 0 {
		return nil
	}
	return syscall.Errno(f.Errno)
}

// failure finds the number in err, or the one that errors.Is takes for io/fs's error.
func failure(err error) *failed {
	if err == nil {
		return nil
	}
	var number syscall.Errno
	if !errors.As(err, &number) {
		for is, want := range map[error]syscall.Errno{fs.ErrNotExist: syscall.ENOENT, fs.ErrExist: syscall.EEXIST,
			fs.ErrPermission: syscall.EPERM, fs.ErrInvalid: syscall.EINVAL} {
			if errors.Is(err, is) {
				number = want
			}
		}
	}
	return &failed{err.Error(), uint16(number)} //nolint:gosec // Linux has 133 of them
}

// item is one entry of a directory.
type item struct {
	Called string `json:"name"`
	Dir    bool   `json:"dir"`
}

func (i item) Name() string             { return i.Called }
func (i item) IsDir() bool              { return i.Dir }
func (item) Info() (os.FileInfo, error) { return nil, fs.ErrNotExist }

func (i item) Type() os.FileMode {
	if i.Dir {
		return os.ModeDir
	}
	return 0
}

// decode reads a message of at most limit bytes.
func decode(r io.Reader, limit int64, v any) error {
	data, err := file.ReadAll(r, limit)
	if err != nil {
		return fmt.Errorf("a message: %w", err)
	}
	return canonical.Unmarshal(data, v)
}

// below says that a path is configfs-tsm's: nothing else is reached through the socket.
func below(path string) bool {
	return strings.HasPrefix(path, configfsi.TsmPrefix+"/") && !strings.Contains(path, "/..")
}

package tsm

import (
	"errors"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/google/go-configfs-tsm/configfs/configfsi"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
)

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

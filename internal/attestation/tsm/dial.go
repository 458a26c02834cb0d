package tsm

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/google/go-configfs-tsm/configfs/configfsi"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
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
	resp, err := r.http.Post("http://tsm"+method, "application/json", bytes.NewReader(body)) //nolint:noctx // configfsi.Client has no context
	if err != nil {
		return a, err
	}
	defer resp.Body.Close() //nolint:errcheck // read side
	if resp.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(io.LimitReader(resp.Body, 200))
		return a, fmt.Errorf("%s: the socket's other side answered %d %s", method, resp.StatusCode, strings.TrimSpace(string(why)))
	}
	if err := decode(resp.Body, maxAnswer, &a); err != nil {
		return answer{}, fmt.Errorf("%s: %w", method, err)
	}
	if a.Error != nil {
		return a, a.Error
	}
	return a, nil
}

// Package browser shows pages to tests as people see them: in a Chromium
// without a window, which it drives over a pipe by the DevTools protocol.
//
// Its promise: no port is opened; what the browser says of a page and what it
// asks for are the test's to judge; and it ends with the test, its folder too.
package browser

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/child"
	"github.com/calimero-network/mero-tee/internal/base/hang"
)

// Browser is a running Chromium. Its tabs share nothing but the process.
type Browser struct {
	t   testing.TB
	out *os.File

	mu      sync.Mutex
	last    int
	answers map[int]chan message
	tabs    map[string]*Tab // by session
	gone    chan struct{}   // closed when the browser says no more
}

// message is one of the DevTools protocol, in either direction.
type message struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// Start starts Chromium, and skips the test where there is none.
func Start(t testing.TB) *Browser {
	t.Helper()
	program := find(t)
	theirIn, out := pipe(t)
	in, theirOut := pipe(t)
	ctx := context.WithoutCancel(t.Context()) // which ends before the cleanup
	cmd := exec.CommandContext(ctx, program, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--disable-breakpad",
		"--remote-debugging-pipe", "--user-data-dir="+t.TempDir(), "about:blank")
	cmd.ExtraFiles = []*os.File{theirIn, theirOut} // 3, which it reads, and 4
	wait, err := child.Start(cmd, syscall.SIGKILL)
	must(t, err)
	_, _ = theirIn.Close(), theirOut.Close()
	b := &Browser{t: t, out: out, answers: map[int]chan message{}, tabs: map[string]*Tab{}, gone: make(chan struct{})}
	go b.listen(in)
	t.Cleanup(func() {
		_, _ = b.send("", "Browser.close", object{}) // killed, it would leave others that write to its folder
		select {
		case <-b.gone:
		case <-time.After(hang.Limit(t)):
			_ = cmd.Process.Kill()
		}
		_ = out.Close()
		_ = wait() // how it ended is nobody's business
		_ = in.Close()
	})
	return b
}

func find(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no Chromium here: apt-get install chromium")
	return ""
}

func pipe(t testing.TB) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	must(t, err)
	return r, w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// listen hands out what the browser says, until it says no more.
func (b *Browser) listen(in *os.File) {
	defer close(b.gone)
	r := bufio.NewReader(in)
	for {
		data, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(data[:len(data)-1], &m) != nil {
			continue
		}
		b.mu.Lock()
		waiting, tab := b.answers[m.ID], b.tabs[m.Session]
		delete(b.answers, m.ID)
		b.mu.Unlock()
		if waiting != nil {
			waiting <- m
		} else if tab != nil {
			tab.hear(m)
		}
	}
}

// send asks for a method of the protocol; the answer comes later.
func (b *Browser) send(session, method string, params any) (<-chan message, error) {
	data, err := json.Marshal(params)
	if err != nil {
		return nil, err
	}
	answer := make(chan message, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last++
	line, err := json.Marshal(message{ID: b.last, Session: session, Method: method, Params: data})
	if err == nil {
		b.answers[b.last] = answer
		_, err = b.out.Write(append(line, 0))
	}
	return answer, err
}

// call waits for a method's result and decodes it into into, if that is not nil.
func (b *Browser) call(session, method string, params, into any) {
	b.t.Helper()
	answer, err := b.send(session, method, params)
	must(b.t, err)
	var m message
	select {
	case m = <-answer:
	case <-b.gone:
		b.t.Fatalf("%s: the browser ended", method)
	case <-time.After(hang.Limit(b.t)):
		b.t.Fatalf("%s: no answer", method)
	}
	if m.Error != nil {
		b.t.Fatalf("%s: %s", method, m.Error.Message)
	}
	if into != nil {
		must(b.t, json.Unmarshal(m.Result, into))
	}
}

type object map[string]any

// View is how a person looks at a page.
type View struct {
	Width int    // of the window, in CSS pixels
	Dark  bool   // the person prefers dark
	Media string // "print", or empty for a screen
}

// String names a view: "390 light".
func (v View) String() string {
	theme := "light"
	if v.Dark {
		theme = "dark"
	}
	return fmt.Sprintf("%d %s%s", v.Width, theme, v.Media)
}

// Views are the widths of a phone, a tablet and a desk, each in both themes.
func Views() (out []View) {
	for _, width := range []int{390, 768, 1280} {
		out = append(out, View{Width: width}, View{Width: width, Dark: true})
	}
	return out
}

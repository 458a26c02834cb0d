package console

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

const eraseLine = "\r\x1b[K"

// Progress shows which steps run and for how long: a live line on a terminal,
// a heartbeat elsewhere, so that no one wonders whether a quiet run is stuck.
type Progress struct {
	out      *output
	terminal bool
	now      func() time.Time
	mu       sync.Mutex
	running  []running
	stop     chan struct{}
	done     sync.WaitGroup
}

type running struct {
	name  string
	since time.Time
}

// Heartbeat is how often a run that is not on a terminal says that it lives.
const Heartbeat = 10 * time.Second

// While does work, and says meanwhile how long it has taken: after first, and then at every heartbeat.
func While(work func(), first time.Duration, say func(took time.Duration)) {
	done := make(chan struct{})
	go func() { defer close(done); work() }()
	begin, next := time.Now(), first
	for {
		select {
		case <-time.After(next - time.Since(begin)):
			say(next)
		case <-done:
			return
		}
		next = next.Truncate(Heartbeat) + Heartbeat
	}
}

// Progress starts showing what Begin and End report until Close.
func (c *Console) Progress(terminal bool) *Progress {
	p := &Progress{out: c.out, terminal: terminal, now: time.Now, stop: make(chan struct{})}
	every := Heartbeat
	if terminal {
		every = 200 * time.Millisecond
	}
	p.done.Go(func() {
		t := time.NewTicker(every)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				p.show()
			case <-p.stop:
				return
			}
		}
	})
	return p
}

// Begin says that a step runs.
func (p *Progress) Begin(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = append(p.running, running{name, p.now()})
}

// End says that it no longer does.
func (p *Progress) End(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, r := range p.running {
		if r.name == name {
			p.running = append(p.running[:i:i], p.running[i+1:]...)
			return
		}
	}
}

// Close stops showing and removes the live line.
func (p *Progress) Close() {
	close(p.stop)
	p.done.Wait()
	p.setLive("")
}

func (p *Progress) show() {
	if p.terminal {
		p.setLive(p.text(0))
		return
	}
	if text := p.text(quiet); text != "" {
		p.out.line(Info, "still running: "+text)
	}
}

// quiet is how long a step may run before a heartbeat mentions it.
const quiet = 5 * time.Second

func (p *Progress) text(atLeast time.Duration) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	parts := make([]string, 0, len(p.running))
	for _, r := range p.running {
		if took := p.now().Sub(r.since); took >= atLeast {
			parts = append(parts, fmt.Sprintf("%s %.0f s", r.name, took.Seconds()))
		}
	}
	return strings.Join(parts, ", ")
}

func (p *Progress) setLive(text string) {
	p.out.mu.Lock()
	defer p.out.mu.Unlock()
	if text == p.out.live {
		return
	}
	p.out.live = text
	_, _ = io.WriteString(p.out.w, eraseLine+text)
}

// IsTerminal says whether f is a character device that a person looks at.
func IsTerminal(f *os.File) bool {
	fi, err := f.Stat()
	return err == nil && fi.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}

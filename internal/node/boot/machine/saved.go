package machine

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// maxBandwidth lets the emulator write as fast as it can, in bytes a second.
const maxBandwidth = 1 << 40

// Freeze stops the processor; when it returns, the guest does nothing any more.
// It does not wait for what the disk owes the guest, so that the disk may call it
// before it answers. That answer still reaches the guest's memory.
func (m *Machine) Freeze() error {
	answered := make(chan error, 1)
	go func() { answered <- m.monitor.execute("stop", nil, nil) }() // answered when the disk owes nothing
	t := time.NewTicker(10 * time.Millisecond)
	defer t.Stop()
	for {
		for _, e := range m.Events() {
			if e.Name == "STOP" {
				return nil
			}
		}
		select {
		case err := <-answered:
			return err
		case <-t.C:
		}
	}
}

// Save writes a frozen machine into a file, for Config.Saved; it does not run again.
func (m *Machine) Save(ctx context.Context, file string) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", m.path("state"))
	if err != nil {
		return err
	}
	defer l.Close()
	if err := m.monitor.execute("migrate-set-parameters", map[string]any{"max-bandwidth": maxBandwidth}, nil); err != nil {
		return err
	}
	if err := m.monitor.execute("migrate", map[string]any{"uri": "unix:" + m.path("state")}, nil); err != nil {
		return err
	}
	conn, err := m.take(ctx, l)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, conn)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return m.until(ctx, "query-migrate", "completed", "setup", "active", "device")
}

// resume has the machine go on from where another was saved.
func (m *Machine) resume(ctx context.Context) error {
	f, err := os.Open(m.config.Saved)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := m.monitor.execute("migrate-incoming", map[string]any{"uri": "unix:" + m.path("state")}, nil); err != nil {
		return err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", m.path("state"))
	if err != nil {
		return err
	}
	_, err = io.Copy(conn, f)
	if err = errors.Join(err, conn.Close()); err != nil {
		return m.because(err)
	}
	if err := m.until(ctx, "query-status", "paused", "inmigrate"); err != nil {
		return err
	}
	return m.monitor.execute("cont", nil, nil)
}

// until asks the emulator until its status is the wanted one; it may be one of the others before.
func (m *Machine) until(ctx context.Context, question, wanted string, before ...string) error {
	t := time.NewTicker(50 * time.Millisecond)
	defer t.Stop()
	for {
		var answer struct {
			Status string `json:"status"`
			Reason string `json:"error-desc"`
		}
		if err := m.monitor.execute(question, nil, &answer); err != nil {
			return m.because(err)
		}
		if answer.Status == wanted {
			return nil
		}
		if !slices.Contains(before, answer.Status) {
			return fault.Mismatch("the emulator's answer to "+question, wanted, answer.Status+" "+answer.Reason)
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

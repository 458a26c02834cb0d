package machine

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// monitor speaks QEMU's QMP.
type monitor struct {
	conn    net.Conn
	mu      sync.Mutex // one command at a time
	answers chan qmpMessage

	state  sync.Mutex
	events []MonitorEvent
}

// MonitorEvent is something that QEMU said of the machine: RESET, SHUTDOWN, GUEST_PANICKED.
type MonitorEvent struct {
	At   time.Time
	Name string
	Data map[string]any
}

type qmpMessage struct {
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Description string `json:"desc"`
	} `json:"error"`
	Event string         `json:"event"`
	Data  map[string]any `json:"data"`
}

// patience is how long QEMU may take to answer.
const patience = 30 * time.Second

// maxMonitorEvents bounds what is remembered of a machine that resets all the time.
const maxMonitorEvents = 10_000

func newMonitor(conn net.Conn) (*monitor, error) {
	m := &monitor{conn: conn, answers: make(chan qmpMessage, 1)}
	r := bufio.NewReader(conn)
	if _, err := r.ReadBytes('\n'); err != nil { // its greeting
		return nil, err
	}
	go m.read(json.NewDecoder(r))
	return m, m.execute("qmp_capabilities", nil, nil)
}

func (m *monitor) read(d *json.Decoder) {
	defer close(m.answers)
	for {
		var message qmpMessage
		if d.Decode(&message) != nil {
			return
		}
		if message.Event == "" {
			m.answers <- message
			continue
		}
		m.state.Lock()
		if len(m.events) < maxMonitorEvents {
			m.events = append(m.events, MonitorEvent{time.Now(), message.Event, message.Data})
		}
		m.state.Unlock()
	}
}

// execute gives a command and reads its answer into out, unless that is nil.
func (m *monitor) execute(command string, arguments, out any) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	request := map[string]any{"execute": command}
	if arguments != nil {
		request["arguments"] = arguments
	}
	if err := json.NewEncoder(m.conn).Encode(request); err != nil {
		return err
	}
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case answer, ok := <-m.answers:
		switch {
		case !ok:
			return io.ErrUnexpectedEOF
		case answer.Error != nil:
			return fmt.Errorf("QEMU refuses %s: %s", command, answer.Error.Description)
		case out != nil:
			return json.Unmarshal(answer.Return, out)
		}
		return nil
	case <-t.C:
		_ = m.conn.Close() // what comes now would be taken for another's answer
		return errors.New("QEMU does not answer " + command)
	}
}

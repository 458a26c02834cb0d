// Package guest talks to the dstack guest agent: JSON over the Unix socket
// that dstack mounts into a container.
//
// Its promise: a hung, oversized or malformed answer becomes an error within
// the deadline, and no error text holds key material.
//
// Endpoints and field names are those of guest-agent/rpc/proto/agent_rpc.proto
// of Dstack-TEE/dstack, read on 2026-11-23; bytes travel as hex.
package guest

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/file"
)

const (
	// timeout bounds one call; a quote takes the host's quoting enclave well under a second.
	timeout = 15 * time.Second
	// maxAnswer bounds one answer; event logs of real machines are tens of kilobytes.
	maxAnswer = 2 << 20
)

// Client calls one guest agent. It is safe for concurrent use.
type Client struct{ http *http.Client }

// New returns a client of the agent behind the given socket; nothing is dialled yet.
func New(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
	return &Client{http: &http.Client{Timeout: timeout, Transport: &http.Transport{
		DialContext: dial, MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 16 << 10}}}
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Error is an answer of the agent other than 200.
type Error struct {
	Status  int
	Message string // the agent's own words, cut to 200 bytes
}

func (e *Error) Error() string {
	return fmt.Sprintf("guest agent answered %d: %s", e.Status, e.Message)
}

// Quote is a quote with what is needed to understand it.
type Quote struct {
	Raw      []byte          // the TDX quote
	EventLog json.RawMessage // a JSON array of events
	VMConfig string          // dstack's JSON about the machine, verbatim
}

// Quote asks for a TDX quote over the 64 bytes of report data.
func (c *Client) Quote(ctx context.Context, reportData [64]byte) (*Quote, error) {
	var a struct {
		Quote    string `json:"quote"`
		EventLog string `json:"event_log"`
		VMConfig string `json:"vm_config"`
	}
	if err := c.call(ctx, "GetQuote", map[string]string{"report_data": hex.EncodeToString(reportData[:])},
		&a); err != nil {
		return nil, err
	}
	raw, err := hex.DecodeString(a.Quote)
	if err != nil || len(raw) == 0 {
		return nil, fmt.Errorf("guest agent GetQuote: the quote is not hex")
	}
	if !json.Valid([]byte(a.EventLog)) {
		return nil, fmt.Errorf("guest agent GetQuote: the event log is not JSON")
	}
	return &Quote{Raw: raw, EventLog: json.RawMessage(a.EventLog), VMConfig: a.VMConfig}, nil
}

// KeySize is the size of a derived key in bytes.
const KeySize = 32

// Key asks for the key that dstack derives from the application's key and path; the same path gives the same key.
func (c *Client) Key(ctx context.Context, path, purpose string) ([]byte, error) {
	var a struct {
		Key string `json:"key"`
	}
	// secp256k1 is dstack's default: named here, so that a changed default cannot change keys.
	args := map[string]string{"path": path, "purpose": purpose, "algorithm": "secp256k1"}
	if err := c.call(ctx, "GetKey", args, &a); err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(a.Key)
	if err != nil || len(key) != KeySize {
		return nil, fmt.Errorf("guest agent GetKey: the key is not %d bytes of hex", KeySize)
	}
	return key, nil
}

// Info is what the agent says about the application; for logs, not for decisions.
type Info struct {
	AppID       string `json:"app_id"`
	InstanceID  string `json:"instance_id"`
	ComposeHash string `json:"compose_hash"`
}

// Info asks which application this is.
func (c *Client) Info(ctx context.Context) (*Info, error) {
	var a Info
	if err := c.call(ctx, "Info", map[string]string{}, &a); err != nil {
		return nil, err
	}
	return &a, nil
}

func (c *Client) call(ctx context.Context, method string, args map[string]string, answer any) error {
	body, err := json.Marshal(args)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://dstack/"+method, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("guest agent %s: %w", method, err)
	}
	defer resp.Body.Close()
	data, err := file.ReadAll(resp.Body, maxAnswer)
	if err != nil {
		return fmt.Errorf("guest agent %s: %w", method, err)
	}
	if resp.StatusCode != http.StatusOK {
		return refusal(resp.StatusCode, data)
	}
	// Later dstack versions add fields: unknown ones are accepted. The cause is dropped: it may quote the answer.
	if json.Unmarshal(data, answer) != nil {
		return fmt.Errorf("guest agent %s: the answer is not the JSON expected", method)
	}
	return nil
}

func refusal(status int, body []byte) error {
	var a struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(body, &a) != nil || a.Error == "" {
		a.Error = http.StatusText(status)
	}
	said := strings.ToValidUTF8(a.Error[:min(len(a.Error), 200)], "") // it may end within a character
	return &Error{Status: status, Message: said}
}

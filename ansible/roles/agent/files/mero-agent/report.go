package main

import (
	"context"
	"io"

	"github.com/calimero-network/mero-tee/internal/canonical"
	"github.com/calimero-network/mero-tee/internal/peer"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/tdx"
)

// Report is what the agent says, as JSON. Quote and event log prove it; the
// rest is the node's word.
type Report struct {
	Profile  release.Profile `json:"profile"`
	PeerID   peer.ID         `json:"peer_id"` // made for this run; REPORTDATA is nonce(32) and SHA-256(peer_id)
	Nonce    string          `json:"nonce"`   // 32 bytes in hex
	Quote    []byte          `json:"quote"`   // base64
	EventLog []byte          `json:"event_log"`
	KMS      *KMSResult      `json:"kms,omitempty"` // absent when no key service was configured
	Error    string          `json:"error,omitempty"`
	ExitCode int             `json:"exit_code"`
}

// KMSResult is how the key service did.
type KMSResult struct {
	URL         string         `json:"url"`
	Verified    bool           `json:"verified"`
	TCB         string         `json:"tcb,omitempty"`
	Registers   *tdx.Registers `json:"registers,omitempty"`
	KeyReleased bool           `json:"key_released"`
	Refusal     string         `json:"refusal,omitempty"` // the error tag of /challenge or /get-key
}

// send writes the report where the operator reads it.
func (m *mission) send(ctx context.Context, r *Report, stdout io.Writer) error {
	data, err := canonical.Marshal(r)
	if err != nil {
		return err
	}
	if m.metadata == nil {
		_, err = stdout.Write(data)
		return err
	}
	return m.metadata.Publish(ctx, namespace, reportName, data)
}

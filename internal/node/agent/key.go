package agent

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
)

const keySize = 32

// GetKey asks the key service at url for this node's key: 32 bytes, the same
// each time. A refusal is a *Refused. Verify the service first: see VerifyKMS.
func (a *Agent) GetKey(ctx context.Context, url string) ([]byte, error) {
	id := a.PeerID()
	var c wire.ChallengeResponse
	if err := a.post(ctx, url, "/challenge", wire.ChallengeRequest{PeerID: string(id)}, &c); err != nil {
		return nil, err
	}
	nonce, err := base64.StdEncoding.DecodeString(c.NonceB64)
	if err != nil || len(nonce) != 32 || !wire.IsChallengeID(c.ChallengeID) {
		return nil, errors.New("/challenge: the challenge is malformed")
	}
	request, err := a.keyRequest(id, c.ChallengeID, [32]byte(nonce))
	if err != nil {
		return nil, err
	}
	var answer wire.KeyResponse
	if err := a.post(ctx, url, "/get-key", request, &answer); err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(answer.Key)
	if err != nil || len(key) != keySize {
		return nil, errors.New("/get-key: the key is not 32 bytes of hex")
	}
	return key, nil
}

// keyRequest binds a quote of this TD to the challenge and to the peer ID, and signs both.
func (a *Agent) keyRequest(id wire.PeerID, challenge string, nonce [32]byte) (*wire.KeyRequest, error) {
	quote, err := a.Quote(wire.NodeReportData(nonce, id))
	if err != nil {
		return nil, err
	}
	signature := ed25519.Sign(a.Key, wire.SignedPayload(challenge, nonce, id, quote))
	return &wire.KeyRequest{
		ChallengeID: challenge, PeerID: string(id), QuoteB64: base64.StdEncoding.EncodeToString(quote),
		PeerPublicKeyB64: base64.StdEncoding.EncodeToString(wire.MarshalPublicKey(a.public())),
		SignatureB64:     base64.StdEncoding.EncodeToString(signature),
	}, nil
}

const (
	callDeadline = 60 * time.Second // the service may have to fetch collateral first
	maxAnswer    = 2 << 20          // a quote and an event log are tens of kilobytes
)

// Refused is an answer of the key service other than 200. Tag is one of package wire's.
type Refused struct {
	Path    string `json:"path"`          // the endpoint, e.g. "/get-key"
	Status  int    `json:"status"`        // of HTTP
	Tag     string `json:"tag,omitempty"` // empty when the body was not the service's
	Details string `json:"details"`
}

func (e *Refused) Error() string {
	return fmt.Sprintf("%s answered %d %s: %s", e.Path, e.Status, e.Tag, e.Details)
}

// post sends one request to the key service at base and reads its answer.
func (a *Agent) post(ctx context.Context, base, path string, request, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, callDeadline)
	defer cancel()
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(base, "/")+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := a.HTTP.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := file.ReadAll(resp.Body, maxAnswer)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return refused(path, resp.StatusCode, data)
	}
	// A later service may add fields. The cause is dropped: it may quote a key.
	if json.Unmarshal(data, answer) != nil {
		return fmt.Errorf("%s: the answer is not the JSON expected", path)
	}
	return nil
}

func refused(path string, status int, body []byte) error {
	var said wire.Error
	if json.Unmarshal(body, &said) != nil {
		said = wire.Error{Details: "the body is not the key service's"}
	}
	return &Refused{Path: path, Status: status, Tag: said.Error, Details: said.Details}
}

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

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/base/retry"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
)

const keySize = 32

// GetKey asks the key service at url for this node's key: 32 bytes, the same
// each time. It comes sealed to a key of this one request, and opens only when
// the service with that transport key sealed it: VerifyKMS says which one proved
// itself. A refusal is a *Refused; a key in the clear, or one that does not open,
// is an error of code Verification.
func (a *Agent) GetKey(ctx context.Context, url string, transport wire.PublicKey) ([]byte, error) {
	id := a.PeerID()
	var c wire.ChallengeResponse
	if err := a.post(ctx, url, "/challenge", wire.ChallengeRequest{PeerID: string(id)}, &c); err != nil {
		return nil, err
	}
	nonce, err := base64.StdEncoding.DecodeString(c.NonceB64)
	if err != nil || len(nonce) != 32 || !wire.IsChallengeID(c.ChallengeID) {
		return nil, errors.New("/challenge: the challenge is malformed")
	}
	own, release := wire.NewSealingKey(), wire.Release{Nonce: [32]byte(nonce), PeerID: id}
	seals, err := own.SealedBy(transport, release)
	if err != nil {
		return nil, failed("the key service's transport key", err)
	}
	request, err := a.keyRequest(c.ChallengeID, release, own.Public())
	if err != nil {
		return nil, err
	}
	var answer wire.KeyResponse
	if err := a.post(ctx, url, "/get-key", request, &answer); err != nil {
		return nil, err
	}
	return unseal(answer, seals)
}

func unseal(answer wire.KeyResponse, seals *wire.Seals) ([]byte, error) {
	if answer.Key != "" {
		return nil, fault.Mismatch("/get-key: the key came in the clear: others may have read it", "a sealed key", "a key")
	}
	sealed, err := wire.Bytes(answer.SealedKeyB64)
	if err != nil {
		return nil, failed("/get-key: sealedKeyB64 is not base64", nil)
	}
	nonce, err := wire.Bytes(answer.SealNonceB64)
	if err != nil {
		return nil, failed("/get-key: sealNonceB64 is not base64", nil)
	}
	digits, err := seals.Open(nonce, sealed)
	if err != nil {
		return nil, failed("/get-key", err)
	}
	defer clear(digits)
	key := make([]byte, keySize)
	if n, err := hex.Decode(key, digits); err != nil || n != keySize { // the cause is dropped: it may quote a key
		return nil, failed("/get-key: the key is not 32 bytes of hex", nil)
	}
	return key, nil
}

// keyRequest binds a quote of this TD to the challenge, to the peer ID and to the key to seal to, and signs them all.
func (a *Agent) keyRequest(challenge string, r wire.Release, sealTo wire.PublicKey) (*wire.KeyRequest, error) {
	quote, err := a.Quote(wire.SealedReportData(r.Nonce, sealTo, r.PeerID))
	if err != nil {
		return nil, err
	}
	signature := ed25519.Sign(a.Key, wire.SignedPayload(challenge, r.Nonce, r.PeerID, quote, &sealTo))
	return &wire.KeyRequest{
		ChallengeID: challenge, PeerID: string(r.PeerID), QuoteB64: base64.StdEncoding.EncodeToString(quote),
		PeerPublicKeyB64: base64.StdEncoding.EncodeToString(wire.MarshalPublicKey(a.public())),
		SignatureB64:     base64.StdEncoding.EncodeToString(signature),
		SealToB64:        base64.StdEncoding.EncodeToString(sealTo[:]),
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

	after time.Duration // that it asks to wait
}

// Undecided says that the service could not decide, or not now: that is no verdict on who asked.
func (e *Refused) Undecided() bool { return retry.Busy(e.Status) }

func (e *Refused) Error() string {
	return fmt.Sprintf("%s answered %d %s: %s", e.Path, e.Status, e.Tag, e.Details)
}

// post sends a request to the key service at base and reads its answer; a service that is busy is asked again.
func (a *Agent) post(ctx context.Context, base, path string, request, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, callDeadline)
	defer cancel()
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	return retry.Usual().Do(ctx, func(int) error { return a.once(ctx, base, path, body, answer) }, busy)
}

var crowded = &retry.Class{}

// busy is of too many requests alone, which take nobody's challenge: whatever else a service says is for the caller.
func busy(err error) (*retry.Class, time.Duration) {
	var no *Refused
	if errors.As(err, &no) && no.Status == http.StatusTooManyRequests {
		return crowded, no.after
	}
	return nil, 0
}

func (a *Agent) once(ctx context.Context, base, path string, body []byte, answer any) error {
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
		no := refused(path, resp.StatusCode, data)
		no.after = retry.After(resp.Header)
		return no
	}
	// A later service may add fields. The cause is dropped: it may quote a key.
	if json.Unmarshal(data, answer) != nil {
		return fmt.Errorf("%s: the answer is not the JSON expected", path)
	}
	return nil
}

func refused(path string, status int, body []byte) *Refused {
	var said wire.Error
	if json.Unmarshal(body, &said) != nil {
		said = wire.Error{Details: "the body is not the key service's"}
	}
	return &Refused{Path: path, Status: status, Tag: said.Error, Details: said.Details}
}

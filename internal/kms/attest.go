package kms

import (
	"encoding/base64"
	"encoding/hex"
	"net/http"

	"github.com/calimero-network/mero-tee/internal/kms/wire"
)

// attest lets a node verify the service before it asks for a key. It works without a policy.
func (s *Service) attest(r *http.Request) (any, error) {
	req, err := decode[wire.AttestRequest](r, wire.InvalidAttestation)
	if err != nil {
		return nil, err
	}
	nonce, err := bytes32("nonceB64", req.NonceB64)
	if err != nil {
		return nil, err
	}
	binding := wire.DefaultBinding()
	if req.BindingB64 != "" {
		if binding, err = bytes32("bindingB64", req.BindingB64); err != nil {
			return nil, err
		}
	}
	if err := s.quotes.enter(r.Context()); err != nil {
		return nil, err
	}
	defer s.quotes.leave()
	reportData := wire.AttestReportData(nonce, binding)
	q, err := s.parts.Guest.Quote(r.Context(), reportData)
	if err != nil {
		return nil, refuse(http.StatusInternalServerError, wire.InternalError, "the platform gave no quote").because(err)
	}
	return wire.AttestResponse{QuoteB64: base64.StdEncoding.EncodeToString(q.Raw), ReportDataHex: hex.EncodeToString(reportData[:]),
		EventLog: q.EventLog, VMConfig: q.VMConfig}, nil
}

func bytes32(field, text string) (b [32]byte, err error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != len(b) {
		return b, refuse(http.StatusBadRequest, wire.InvalidAttestation, "%s is not base64 of %d bytes", field, len(b))
	}
	return [32]byte(raw), nil
}

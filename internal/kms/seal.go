package kms

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"

	"github.com/calimero-network/mero-tee/internal/kms/wire"
)

// inTheClear is said in /health and with every request for a key.
const inTheClear = "keys are released in the clear to who asks so: whoever ends TLS before this service can read them"

const transportKeyPurpose = "transport"

// transportKey asks the platform for the key that released keys are sealed with: the same for all instances of an
// application, so that a node may verify one and be answered by another.
func transportKey(guest Guest) func(context.Context) (*wire.SealingKey, error) {
	return once(func(ctx context.Context) (*wire.SealingKey, error) {
		secret, err := guest.Key(ctx, wire.TransportKeyPath, transportKeyPurpose)
		if err == nil {
			defer clear(secret)
			var key *wire.SealingKey
			if key, err = wire.NewTransportKey(secret); err == nil {
				return key, nil
			}
		}
		return nil, refuse(http.StatusInternalServerError, wire.KeyDerivationFailed, "the platform gave no transport key").
			because(err)
	})
}

// parseSealTo reads the key that a request names; nil means the released key in the clear.
func (s *Service) parseSealTo(text string) (*wire.PublicKey, error) {
	if text == "" && s.config.RequireSealed {
		return nil, refuse(http.StatusBadRequest, wire.InvalidAttestation, "keys are released sealed only: the request "+
			"lacks sealToB64, which merod 0.11.0-rc.47 and later send")
	}
	if text == "" {
		return nil, nil //nolint:nilnil // no key is a value here
	}
	key, err := bytes32("sealToB64", text)
	if err != nil {
		return nil, err
	}
	return &key, nil
}

// seals is the cipher towards the claim's node; nil when it asks for the clear key.
func (s *Service) seals(ctx context.Context, c *claim) (*wire.Seals, error) {
	if c.sealTo == nil {
		return nil, nil //nolint:nilnil // no cipher is a value here
	}
	key, err := s.transport(ctx)
	if err != nil {
		return nil, err
	}
	seals, err := key.SealTo(*c.sealTo, wire.Release{Nonce: c.nonce, PeerID: c.id})
	if errors.Is(err, wire.ErrLowOrder) {
		return nil, refuse(http.StatusBadRequest, wire.InvalidAttestation,
			"sealToB64 is a point of low order: anybody could open what is sealed to it")
	}
	return seals, err
}

// released is the answer that a node gets.
func released(key []byte, seals *wire.Seals) wire.KeyResponse {
	digits := hex.AppendEncode(nil, key)
	if seals == nil {
		return wire.KeyResponse{Key: string(digits)}
	}
	defer clear(digits)
	nonce, sealed := seals.Seal(digits)
	return wire.KeyResponse{SealedKeyB64: base64.StdEncoding.EncodeToString(sealed),
		SealNonceB64: base64.StdEncoding.EncodeToString(nonce)}
}

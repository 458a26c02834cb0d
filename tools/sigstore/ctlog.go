package main

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"time"

	ct "github.com/google/certificate-transparency-go"
	cttls "github.com/google/certificate-transparency-go/tls"
	ctx509 "github.com/google/certificate-transparency-go/x509"
)

// ctLog signs RFC 6962 timestamps for Fulcio's pre-certificates, so that the
// certificates carry one and a verifier can demand it. It keeps no tree: no
// verifier of a bundle reads one.
type ctLog struct {
	key crypto.Signer
	der []byte // the public key
	id  [32]byte
}

func newCTLog(s store) (*ctLog, error) {
	key, err := s.key("ctlog", newP256)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	return &ctLog{key: key, der: der, id: sha256.Sum256(der)}, err
}

func (l *ctLog) publicKeyPEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: l.der}))
}

// ServeHTTP answers add-pre-chain, the one call that Fulcio makes.
func (l *ctLog) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.URL.Path != ct.AddPreChainPath {
		http.NotFound(w, r)
		return
	}
	var request ct.AddChainRequest
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	chain := make([]*ctx509.Certificate, 0, len(request.Chain))
	for _, raw := range request.Chain {
		c, err := ctx509.ParseCertificate(raw)
		if ctx509.IsFatal(err) {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		chain = append(chain, c)
	}
	response, err := l.timestamp(chain, time.Now())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	writeJSON(w, http.StatusOK, response)
}

func (l *ctLog) timestamp(chain []*ctx509.Certificate, now time.Time) (*ct.AddChainResponse, error) {
	millis := uint64(now.UnixMilli())
	leaf, err := ct.MerkleTreeLeafFromChain(chain, ct.PrecertLogEntryType, millis)
	if err != nil {
		return nil, err
	}
	sct := ct.SignedCertificateTimestamp{SCTVersion: ct.V1, LogID: ct.LogID{KeyID: l.id}, Timestamp: millis}
	input, err := ct.SerializeSCTSignatureInput(sct, ct.LogEntry{Leaf: *leaf})
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(input)
	sig, err := l.key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	signed, err := cttls.Marshal(cttls.DigitallySigned{
		Algorithm: cttls.SignatureAndHashAlgorithm{Hash: cttls.SHA256, Signature: cttls.ECDSA}, Signature: sig})
	return &ct.AddChainResponse{SCTVersion: ct.V1, ID: l.id[:], Timestamp: millis, Signature: signed}, err
}

package main

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/digitorus/timestamp"
)

// tsa answers RFC 3161 requests with the library that Sigstore's own timestamp authority is built on.
type tsa struct {
	key   crypto.Signer
	chain []*x509.Certificate // leaf, root
}

var (
	oidExtKeyUsage  = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidTimeStamping = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 8}
	oidSigstoreTSA  = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 2} // Sigstore's timestamping policy
)

func newTSA(s store) (*tsa, error) {
	rootKey, err := s.key("tsa-root", newP256)
	if err != nil {
		return nil, err
	}
	key, err := s.key("tsa", newP256)
	if err != nil {
		return nil, err
	}
	chain, err := s.certificates("tsa", func() ([]*x509.Certificate, error) {
		root, err := selfSigned("mero-tee rehearsal timestamp authority root", rootKey)
		if err != nil {
			return nil, err
		}
		leaf, err := timestampLeaf(root, key.Public(), rootKey)
		return []*x509.Certificate{leaf, root}, err
	})
	return &tsa{key: key, chain: chain}, err
}

// timestampLeaf carries the one usage timeStamping, and carries it as critical:
// RFC 3161 section 2.3 demands both, and x509.Certificate.ExtKeyUsage cannot say critical.
func timestampLeaf(root *x509.Certificate, public crypto.PublicKey, rootKey crypto.Signer) (*x509.Certificate, error) {
	usage, err := asn1.Marshal([]asn1.ObjectIdentifier{oidTimeStamping})
	if err != nil {
		return nil, err
	}
	return issue(&x509.Certificate{
		SerialNumber: serial(), Subject: subject("mero-tee rehearsal timestamp authority"),
		NotBefore: root.NotBefore, NotAfter: root.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{{Id: oidExtKeyUsage, Critical: true, Value: usage}},
	}, root, public, rootKey)
}

// api is the timestamp authority's HTTP interface: RFC 3161 over HTTP, under the paths of Sigstore's own.
func (t *tsa) api() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+timestampPath, t.stamp)
	mux.HandleFunc("GET "+timestampPath+"/certchain", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/pem-certificate-chain")
		for _, c := range t.chain {
			_ = pem.Encode(w, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}) // the client went away
		}
	})
	return mux
}

const timestampPath = "/api/v1/timestamp"

func (t *tsa) stamp(w http.ResponseWriter, r *http.Request) {
	if kind := r.Header.Get("Content-Type"); kind != "application/timestamp-query" {
		apiError(w, http.StatusUnsupportedMediaType, fmt.Sprintf("unsupported media type %q", kind))
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		apiError(w, http.StatusBadRequest, err.Error())
		return
	}
	query, err := parseQuery(body)
	if err != nil {
		apiError(w, http.StatusBadRequest, err.Error())
		return
	}
	stamp := timestamp.Timestamp{
		HashAlgorithm: query.HashAlgorithm, HashedMessage: query.HashedMessage, Nonce: query.Nonce,
		Time: time.Now().UTC(), Accuracy: time.Second, Policy: oidSigstoreTSA, AddTSACertificate: query.Certificates,
	}
	reply, err := stamp.CreateResponseWithOpts(t.chain[0], t.key, crypto.SHA256)
	if err != nil {
		apiError(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/timestamp-reply")
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(reply) // the client went away: there is no one left to tell
}

// parseQuery refuses what Sigstore's authority does: weak or unknown hashes,
// digests of another length, extensions, and policies that are not its own.
func parseQuery(der []byte) (*timestamp.Request, error) {
	q, err := timestamp.ParseRequest(der)
	if err != nil {
		return nil, err
	}
	switch {
	case q.HashAlgorithm != crypto.SHA256 && q.HashAlgorithm != crypto.SHA384 && q.HashAlgorithm != crypto.SHA512:
		return nil, errors.New("weak or unsupported hash algorithm in timestamp request")
	case len(q.HashedMessage) != q.HashAlgorithm.Size():
		return nil, errors.New("message digest has incorrect length for specified algorithm")
	case len(q.Extensions) > 0:
		return nil, errors.New("requested extensions are not accepted")
	case len(q.TSAPolicyOID) > 0 && !q.TSAPolicyOID.Equal(oidSigstoreTSA):
		return nil, errors.New("requested policy is not accepted")
	}
	return q, nil
}

package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	_ "embed"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	ct "github.com/google/certificate-transparency-go"
	ctclient "github.com/google/certificate-transparency-go/client"
	"github.com/google/certificate-transparency-go/jsonclient"
	cttls "github.com/google/certificate-transparency-go/tls"
	ctx509 "github.com/google/certificate-transparency-go/x509"
	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	fulcioca "github.com/sigstore/fulcio/pkg/ca"
	"github.com/sigstore/fulcio/pkg/ca/baseca"
	"github.com/sigstore/fulcio/pkg/config"
	gateway "github.com/sigstore/fulcio/pkg/generated/protobuf"
	fulciolog "github.com/sigstore/fulcio/pkg/log"
	"github.com/sigstore/fulcio/pkg/server"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore/pkg/signature"
	"google.golang.org/grpc/metadata"
)

//go:embed fulcio.yaml
var fulcioConfig string

// newFulcio is Fulcio's own server behind its own REST mapping, without the gRPC hop between them.
//
// Fulcio reaches the issuer through http.DefaultTransport and takes no other;
// that is why this whole Sigstore is a program of its own.
func newFulcio(authority *ca, i *issuer, ctURL, ctKeyPEM string) (http.Handler, error) {
	fulciolog.ConfigureLogger("prod")
	home, err := url.Parse(i.url)
	if err != nil {
		return nil, err
	}
	http.DefaultTransport = inProcess{host: home.Host, handler: i.discovery(), loopback: &http.Transport{}}
	cfg, err := config.Read([]byte(strings.ReplaceAll(fulcioConfig, "ISSUER", i.url)))
	if err != nil {
		return nil, err
	}
	algorithms, err := signature.NewAlgorithmRegistryConfig(
		[]protocommon.PublicKeyDetails{protocommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256})
	if err != nil {
		return nil, err
	}
	ct, err := ctclient.New(ctURL, &http.Client{Timeout: 10 * time.Second}, jsonclient.Options{PublicKey: ctKeyPEM})
	if err != nil {
		return nil, err
	}
	mux := runtime.NewServeMux(runtime.WithMetadata(bearerMetadata))
	ca := server.NewGRPCCAServer(ct, authority, algorithms, server.NewIssuerPool(cfg))
	if err := gateway.RegisterCAHandlerServer(context.Background(), mux, ca); err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mux.ServeHTTP(w, r.WithContext(config.With(r.Context(), cfg)))
	}), nil
}

// bearerMetadata hands the identity token over the way Fulcio's gateway does.
func bearerMetadata(_ context.Context, r *http.Request) metadata.MD {
	return metadata.Pairs(server.MetadataOIDCTokenKey, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
}

// inProcess answers for the issuer's host in memory, lets loopback through, and refuses every other host.
type inProcess struct {
	host     string
	handler  http.Handler
	loopback http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == t.host {
		w := httptest.NewRecorder()
		t.handler.ServeHTTP(w, r)
		return w.Result(), nil
	}
	if ip := net.ParseIP(r.URL.Hostname()); ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("a local Sigstore does not talk to %s", r.URL.Host)
	}
	return t.loopback.RoundTrip(r)
}

// ca is Fulcio's certificate authority under a root that outlives the process.
type ca struct {
	baseca.BaseCA
	chain []*x509.Certificate
}

func newCA(s store) (*ca, error) {
	key, err := s.key("fulcio", newP256)
	if err != nil {
		return nil, err
	}
	chain, err := s.certificates("fulcio", func() ([]*x509.Certificate, error) {
		root, err := selfSigned("mero-tee rehearsal fulcio", key)
		return []*x509.Certificate{root}, err
	})
	if err != nil {
		return nil, err
	}
	if err := fulcioca.VerifyCertChain(chain, key); err != nil {
		return nil, err
	}
	c := &ca{chain: chain}
	c.SignerWithChain = &fulcioca.SignerCerts{Signer: key, Certs: chain}
	return c, nil
}

// subject names a rehearsal authority, so that no reader mistakes it for a real one.
func subject(name string) pkix.Name {
	return pkix.Name{Organization: []string{"mero-tee rehearsal"}, CommonName: name}
}

// selfSigned makes a root that signs leaves directly, valid for ten years from an hour ago (clocks differ).
func selfSigned(name string, key crypto.Signer) (*x509.Certificate, error) {
	from := time.Now().UTC().Truncate(time.Second).Add(-time.Hour)
	t := &x509.Certificate{
		SerialNumber: serial(), Subject: subject(name), NotBefore: from, NotAfter: from.AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	return issue(t, t, key.Public(), key)
}

func issue(template, parent *x509.Certificate, public crypto.PublicKey,
	signer crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func serial() *big.Int {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the program instead
	b[0] &= 0x7f
	return new(big.Int).SetBytes(b)
}

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

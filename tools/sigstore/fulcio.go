package main

import (
	"context"
	_ "embed"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	ctclient "github.com/google/certificate-transparency-go/client"
	"github.com/google/certificate-transparency-go/jsonclient"
	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
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
	algorithms, err := signature.NewAlgorithmRegistryConfig([]protocommon.PublicKeyDetails{protocommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256})
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

package kms_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-tdx-guest/abi"
	"github.com/google/go-tdx-guest/verify"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
	"github.com/calimero-network/mero-tee/internal/release"
)

// fleet are nodes that ask the world's service for keys, faster than agents do.
type fleet struct {
	w     *world
	td    *tdxsim.TD
	keys  []ed25519.PrivateKey
	next  atomic.Int64
	clear bool // keys are asked for in the clear
}

func newFleet(t testing.TB, w *world, peers int) *fleet {
	t.Helper()
	w.logs.quiet = true
	f := &fleet{w: w, td: w.platform.NewTD(nodeMRTD("1.0.0"))}
	for i, e := range nodeEvents("1.0.0") {
		require.NoError(t, f.td.Extend(i, e))
	}
	agentOver(t, f.td, release.Debug, 4) // extends the profile
	for range peers {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		require.NoError(t, err)
		f.keys = append(f.keys, key)
	}
	return f
}

// challenge takes a challenge for the next peer, without a connection.
func (f *fleet) challenge(t testing.TB) (ed25519.PrivateKey, wire.PeerID, wire.ChallengeResponse) {
	key := f.keys[f.next.Add(1)%int64(len(f.keys))]
	id := wire.PeerIDOf(key.Public().(ed25519.PublicKey))
	w := httptest.NewRecorder()
	body := bytes.NewReader([]byte(`{"peerId":"` + string(id) + `"}`))
	r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/challenge", body)
	r.Header.Set("Content-Type", "application/json")
	f.w.service.Handler().ServeHTTP(w, r)
	var c wire.ChallengeResponse
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &c))
	return key, id, c
}

// request is the body of a request that is granted.
func (f *fleet) request(t testing.TB) []byte {
	key, id, c := f.challenge(t)
	nonce, err := base64.StdEncoding.DecodeString(c.NonceB64)
	require.NoError(t, err)
	var sealTo *wire.PublicKey
	q := wire.KeyRequest{ChallengeID: c.ChallengeID, PeerID: string(id),
		PeerPublicKeyB64: b64(wire.MarshalPublicKey(key.Public().(ed25519.PublicKey)))}
	if !f.clear {
		public := wire.NewSealingKey().Public()
		sealTo, q.SealToB64 = &public, b64(public[:])
	}
	quote, err := f.td.Quote(4, reportData([32]byte(nonce), id, sealTo))
	require.NoError(t, err)
	q.QuoteB64 = b64(quote)
	q.SignatureB64 = b64(ed25519.Sign(key, wire.SignedPayload(c.ChallengeID, [32]byte(nonce), id, quote, sealTo)))
	body, err := json.Marshal(q)
	require.NoError(t, err)
	return body
}

func (f *fleet) requests(t testing.TB, n int) [][]byte {
	bodies := make([][]byte, n)
	var g errgroup.Group
	g.SetLimit(4)
	for i := range bodies {
		g.Go(func() error { bodies[i] = f.request(t); return nil })
	}
	require.NoError(t, g.Wait())
	return bodies
}

// fire sends the bodies over so many connections, as fast as they are answered,
// and returns how long each answer took; every answer must be a key.
func (f *fleet) fire(t testing.TB, client *http.Client, clients int, bodies [][]byte) []time.Duration {
	took := make([]time.Duration, len(bodies))
	var next, granted atomic.Int64
	var done sync.WaitGroup
	for range clients {
		done.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(bodies)); i = next.Add(1) - 1 {
				began := time.Now()
				resp, err := client.Post(f.w.url+"/get-key", "application/json", bytes.NewReader(bodies[i]))
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				took[i] = time.Since(began)
				if resp.StatusCode == http.StatusOK {
					granted.Add(1)
				}
			}
		})
	}
	done.Wait()
	require.EqualValues(t, len(bodies), granted.Load(), "every request is granted")
	return took
}

func clientOf(connections int) *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
}

// BenchmarkGetKey is the whole decision over loopback: HTTP, challenge,
// signature, quote, policy, key from dstack over its socket, sealed; collateral
// is in memory. Clients and dstack share the cores with the service. The goal is
// 0.8 of the rate of BenchmarkBareVerifyWithCollateral, which decides as much
// about the quote, 0.9 of BenchmarkGetKeyInTheClear, and p99 under 5 times p50.
func BenchmarkGetKey(b *testing.B) { benchmarkGetKey(b, false) }

// BenchmarkGetKeyInTheClear is the same without sealing.
func BenchmarkGetKeyInTheClear(b *testing.B) { benchmarkGetKey(b, true) }

func benchmarkGetKey(b *testing.B, clear bool) {
	const clients, batch = 16, 2000
	w := newWorld(b, nil, clearly(clear)...)
	f, client := newFleet(b, w, 512), clientOf(clients)
	f.clear = clear
	f.fire(b, client, clients, f.requests(b, clients)) // connections and collateral
	var took []time.Duration
	b.ResetTimer()
	for left := b.N; left > 0; left -= batch {
		b.StopTimer()
		bodies := f.requests(b, min(left, batch))
		runtime.GC() // what making them left behind is not the service's
		b.StartTimer()
		took = append(took, f.fire(b, client, clients, bodies)...)
	}
	b.StopTimer()
	slices.Sort(took)
	p50, p99 := took[len(took)/2], took[len(took)*99/100]
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "keys/s")
	b.ReportMetric(float64(p50.Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(p99.Microseconds())/1000, "p99-ms")
}

// bare is go-tdx-guest alone, on all cores, about a quote that is parsed already.
func bare(b *testing.B, options func(roots *x509.CertPool, w *world) *verify.Options) {
	w := newWorld(b, nil)
	f := newFleet(b, w, 1)
	raw, err := f.td.Quote(4, [64]byte{1})
	require.NoError(b, err)
	quote, err := abi.QuoteToProto(raw)
	require.NoError(b, err)
	chain, err := verify.ExtractChainFromQuote(quote)
	require.NoError(b, err)
	roots := x509.NewCertPool()
	roots.AddCert(chain.RootCertificate)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := verify.TdxQuoteContext(context.Background(), quote, options(roots, w)); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "quotes/s")
}

// BenchmarkBareVerify is the least that go-tdx-guest does: no collateral, no revocation, no TCB.
func BenchmarkBareVerify(b *testing.B) {
	bare(b, func(roots *x509.CertPool, _ *world) *verify.Options { return &verify.Options{TrustedRoots: roots} })
}

// BenchmarkBareVerifyWithCollateral is what it does of the service's decision, with the collateral in memory.
func BenchmarkBareVerifyWithCollateral(b *testing.B) {
	bare(b, func(roots *x509.CertPool, w *world) *verify.Options {
		return &verify.Options{TrustedRoots: roots, GetCollateral: true, CheckRevocations: true, Getter: getter{w.collateral}}
	})
}

// getter is the library's interface over the collateral in memory.
type getter struct{ *tdx.Collateral }

func (g getter) Get(url string) (map[string][]string, []byte, error) {
	return g.GetContext(context.Background(), url)
}

package main

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-openapi/runtime"
	httptransport "github.com/go-openapi/runtime/client"
	"github.com/go-openapi/strfmt"
	"github.com/sigstore/rekor/pkg/generated/client"
	"github.com/sigstore/rekor/pkg/generated/client/entries"
	"github.com/sigstore/rekor/pkg/generated/client/pubkey"
	"github.com/sigstore/rekor/pkg/generated/client/tlog"
	"github.com/sigstore/rekor/pkg/generated/models"
	"github.com/sigstore/rekor/pkg/types"
	"github.com/sigstore/rekor/pkg/types/hashedrekord"
	"github.com/sigstore/rekor/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/stretchr/testify/require"
)

// rekorWorld is a Rekor v1 log behind Rekor's own client.
type rekorWorld struct {
	log    *rekorV1
	url    string
	client *client.Rekor
}

func newRekorWorld(t *testing.T) *rekorWorld {
	t.Helper()
	l, err := newRekorV1(store{dir: t.TempDir()}, t.TempDir())
	require.NoError(t, err)
	server := httptest.NewServer(l.api())
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	require.NoError(t, err)
	transport := httptransport.New(u.Host, "", []string{"http"})
	transport.Consumers["application/x-pem-file"] = runtime.TextConsumer()
	return &rekorWorld{log: l, url: server.URL, client: client.New(transport, strfmt.Default)}
}

// proposal is a hashedrekord entry over content, signed by a key of its own.
func proposal(t *testing.T, content string) models.ProposedEntry {
	t.Helper()
	key, err := newP256()
	require.NoError(t, err)
	digest := sha256.Sum256([]byte(content))
	sig, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	e, err := hashedrekord.New().CreateProposedEntry(t.Context(), "", types.ArtifactProperties{
		PKIFormat: "x509", SignatureBytes: sig, ArtifactHash: hex.EncodeToString(digest[:]),
		PublicKeyBytes: [][]byte{pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})}})
	require.NoError(t, err)
	return e
}

func (w *rekorWorld) add(t *testing.T, e models.ProposedEntry) (*entries.CreateLogEntryCreated, error) {
	t.Helper()
	return w.client.Entries.CreateLogEntry(entries.NewCreateLogEntryParamsWithContext(t.Context()).WithProposedEntry(e))
}

// verified lets Rekor's own verifier judge the entry: proof, checkpoint and promise.
func (w *rekorWorld) verified(t *testing.T, payload models.LogEntry) models.LogEntryAnon {
	t.Helper()
	key, err := w.client.Pubkey.GetPublicKey(pubkey.NewGetPublicKeyParamsWithContext(t.Context()))
	require.NoError(t, err)
	block, _ := pem.Decode([]byte(key.Payload))
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	require.NoError(t, err)
	v, err := signature.LoadVerifier(public, crypto.SHA256)
	require.NoError(t, err)
	require.Len(t, payload, 1)
	for _, e := range payload {
		require.NoError(t, verify.VerifyLogEntry(t.Context(), &e, v))
		return e
	}
	return models.LogEntryAnon{}
}

func TestRekorV1Entry(t *testing.T) {
	t.Parallel()
	w := newRekorWorld(t)
	made, err := w.add(t, proposal(t, "one"))
	require.NoError(t, err)
	require.Equal(t, "/api/v1/log/entries/"+made.ETag, made.Location.String())
	e := w.verified(t, made.Payload)
	require.EqualValues(t, earlier, *e.LogIndex)
	require.Zero(t, *e.Verification.InclusionProof.LogIndex)
	require.WithinDuration(t, time.Now(), time.Unix(*e.IntegratedTime, 0), time.Minute)
	require.Equal(t, hex.EncodeToString(w.log.id[:]), *e.LogID)
	require.Contains(t, *e.Verification.InclusionProof.Checkpoint, rekorV1Origin+" - 1\n1\n")
}

// An entry is found by both of its names and by its index, and is proven in the tree of today.
func TestRekorV1FindsAnEntryAgain(t *testing.T) {
	t.Parallel()
	w := newRekorWorld(t)
	first, err := w.add(t, proposal(t, "one"))
	require.NoError(t, err)
	_, err = w.add(t, proposal(t, "two"))
	require.NoError(t, err)
	for _, id := range []string{first.ETag, first.ETag[16:]} {
		found, err := w.client.Entries.GetLogEntryByUUID(
			entries.NewGetLogEntryByUUIDParamsWithContext(t.Context()).WithEntryUUID(id))
		require.NoError(t, err)
		require.EqualValues(t, 2, *w.verified(t, found.Payload).Verification.InclusionProof.TreeSize)
	}
	found, err := w.client.Entries.GetLogEntryByIndex(
		entries.NewGetLogEntryByIndexParamsWithContext(t.Context()).WithLogIndex(earlier))
	require.NoError(t, err)
	require.Contains(t, found.Payload, first.ETag)
	w.verified(t, found.Payload)
	info, err := w.client.Tlog.GetLogInfo(tlog.NewGetLogInfoParamsWithContext(t.Context()))
	require.NoError(t, err)
	require.EqualValues(t, 2, *info.Payload.TreeSize)
}

// The same signature again is refused, and the answer says where the entry is.
func TestRekorV1RefusesAnEquivalentEntry(t *testing.T) {
	t.Parallel()
	w := newRekorWorld(t)
	e := proposal(t, "one")
	made, err := w.add(t, e)
	require.NoError(t, err)
	_, err = w.add(t, e)
	var conflict *entries.CreateLogEntryConflict
	require.ErrorAs(t, err, &conflict)
	require.Equal(t, made.Location, conflict.Location)
	require.Contains(t, conflict.Payload.Message, "an equivalent entry already exists in the transparency log with UUID "+
		made.ETag)
	_, err = w.add(t, proposal(t, "one"))
	require.NoError(t, err, "another signature over the same file is another entry")
}

// Entries are checked by Rekor's own code.
func TestRekorV1RefusesNonsense(t *testing.T) {
	t.Parallel()
	w := newRekorWorld(t)
	signed, err := proposal(t, "one").(*models.Hashedrekord).MarshalJSON()
	require.NoError(t, err)
	other := hex.EncodeToString(sha256.New().Sum(nil))
	digest := sha256.Sum256([]byte("one"))
	forged := strings.Replace(string(signed), hex.EncodeToString(digest[:]), other, 1)
	require.NotEqual(t, string(signed), forged)
	for name, tc := range map[string]struct {
		kind, body string
		want       int
	}{
		"no JSON": {"application/json", "nonsense", http.StatusBadRequest},
		"no signature": {"application/json", `{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{}}`,
			http.StatusBadRequest},
		"no such kind":    {"application/json", `{"apiVersion":"0.0.1","kind":"x","spec":{}}`, http.StatusBadRequest},
		"no version":      {"application/json", `{"kind":"hashedrekord","spec":{}}`, http.StatusUnprocessableEntity},
		"another file":    {"application/json", forged, http.StatusBadRequest},
		"no content type": {"", string(signed), http.StatusUnsupportedMediaType},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/api/v1/log/entries",
			strings.NewReader(tc.body))
		require.NoError(t, err)
		r.Header.Set("Content-Type", tc.kind)
		status, body := do(t, r)
		require.Equal(t, tc.want, status, "%s: %s", name, body)
		require.Contains(t, body, `"message":`, name)
	}
	for path, want := range map[string]int{
		"/api/v1/log/entries?logIndex=0":                 http.StatusNotFound,
		"/api/v1/log/entries":                            http.StatusUnprocessableEntity,
		"/api/v1/log/entries?logIndex=-1":                http.StatusUnprocessableEntity,
		"/api/v1/log/entries/" + strings.Repeat("0", 64): http.StatusNotFound,
		"/api/v2/log/entries":                            http.StatusNotFound,
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+path, http.NoBody)
		require.NoError(t, err)
		status, _ := do(t, r)
		require.Equal(t, want, status, path)
	}
}

func do(t *testing.T, r *http.Request) (int, string) {
	t.Helper()
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(body)
}

package sigstore_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	rekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/calimero-network/mero-tee/internal/artifact/sign"
	"github.com/calimero-network/mero-tee/internal/rehearsal/sigstore"
)

// services is an instance and what a signer sent to it last, by path.
type services struct {
	*sigstore.Instance
	mu   sync.Mutex
	sent map[string][]byte
}

func newServices(t *testing.T) *services {
	t.Helper()
	i, err := sigstore.Start(t.Context(), sigstore.Options{Dir: t.TempDir(), ToolsDir: toolsDir})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, i.Close()) })
	return &services{Instance: i, sent: map[string][]byte{}}
}

// RoundTrip remembers what is sent.
func (s *services) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.GetBody != nil {
		body, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(body)
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		s.sent[r.URL.Path] = content
		s.mu.Unlock()
	}
	return http.DefaultTransport.RoundTrip(r)
}

func (s *services) token(t *testing.T, audience string) string {
	t.Helper()
	url := s.TokenURL(identity.Repository, identity.Workflow, identity.Ref(), identity.Commit)
	token, err := sign.RequestToken(http.DefaultClient, url, s.Bearer(), audience)(t.Context())
	require.NoError(t, err)
	return token
}

// sign makes a bundle over nothing and returns its log entry.
func (s *services) sign(t *testing.T) (*protobundle.Bundle, *rekor.TransparencyLogEntry) {
	t.Helper()
	sc, err := root.NewSigningConfigFromPath(s.SigningConfigPath)
	require.NoError(t, err)
	url := s.TokenURL(identity.Repository, identity.Workflow, identity.Ref(), identity.Commit)
	signer, err := sign.NewSigner(t.Context(), sign.Config{SigningConfig: sc, Transport: s,
		Token: sign.RequestToken(http.DefaultClient, url, s.Bearer(), sign.Audience)})
	require.NoError(t, err)
	raw, err := signer.Sign(t.Context(), [32]byte{})
	require.NoError(t, err)
	return decoded(t, raw)
}

func decoded(t *testing.T, raw []byte) (*protobundle.Bundle, *rekor.TransparencyLogEntry) {
	t.Helper()
	b := &protobundle.Bundle{}
	require.NoError(t, protojson.Unmarshal(raw, b))
	require.Len(t, b.GetVerificationMaterial().GetTlogEntries(), 1)
	return b, b.GetVerificationMaterial().GetTlogEntries()[0]
}

// ask sends a request to one of the services; header is "name: value" or empty.
func (s *services) ask(t *testing.T, host, method, path, header string, body []byte) *httptest.ResponseRecorder {
	t.Helper()
	h, err := s.Handler(host)
	require.NoError(t, err)
	r := httptest.NewRequest(method, "https://"+host+path, bytes.NewReader(body)).WithContext(t.Context())
	if name, value, ok := strings.Cut(header, ": "); ok {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const jsonType = "Content-Type: application/json"

// An entry of the public instance's default log has a time, a promise and a
// proof under a checkpoint; beside it the bundle has an authority's timestamp.
func TestBundleOfTheDefaultLog(t *testing.T) {
	t.Parallel()
	b, e := newServices(t).sign(t)
	require.Equal(t, "hashedrekord", e.GetKindVersion().GetKind())
	require.Equal(t, "0.0.1", e.GetKindVersion().GetVersion())
	require.WithinDuration(t, time.Now(), time.Unix(e.GetIntegratedTime(), 0), time.Minute)
	require.NotEmpty(t, e.GetInclusionPromise().GetSignedEntryTimestamp())
	require.NotEqual(t, e.GetLogIndex(), e.GetInclusionProof().GetLogIndex(), "an earlier tree was closed")
	require.Contains(t, e.GetInclusionProof().GetCheckpoint().GetEnvelope(), "rekor-v1.rehearsal.test - 1\n")
	require.Len(t, b.GetVerificationMaterial().GetTimestampVerificationData().GetRfc3161Timestamps(), 1)
}

// An entry of Rekor v2 has neither time nor promise: only the authority says when it was made.
func TestBundleOfRekorV2(t *testing.T) {
	t.Parallel()
	i := start(t, t.TempDir())
	b, e := decoded(t, signOne(t, i, i.SigningConfigRekorV2Path))
	require.Equal(t, "0.0.2", e.GetKindVersion().GetVersion())
	require.Zero(t, e.GetIntegratedTime())
	require.Nil(t, e.GetInclusionPromise())
	require.Len(t, b.GetVerificationMaterial().GetTimestampVerificationData().GetRfc3161Timestamps(), 1)
}

// The log takes a signature once; its refusal says where the entry is, and there it is.
func TestRekorRefusesAnEquivalentEntry(t *testing.T) {
	t.Parallel()
	s := newServices(t)
	_, e := s.sign(t)
	again := s.ask(t, sigstore.RekorHost, http.MethodPost, "/api/v1/log/entries", jsonType,
		s.sent["/api/v1/log/entries"])
	require.Equal(t, http.StatusConflict, again.Code)
	require.Contains(t, again.Body.String(), `"code":409,"message":"an equivalent entry already exists`)
	found := s.ask(t, sigstore.RekorHost, http.MethodGet, again.Header().Get("Location"), "", nil)
	require.Equal(t, http.StatusOK, found.Code)
	byIndex := s.ask(t, sigstore.RekorHost, http.MethodGet,
		fmt.Sprintf("/api/v1/log/entries?logIndex=%d", e.GetLogIndex()), "", nil)
	for _, answer := range []*httptest.ResponseRecorder{found, byIndex} {
		var entries map[string]struct {
			Body           []byte `json:"body"`
			IntegratedTime int64  `json:"integratedTime"`
		}
		require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &entries))
		require.Len(t, entries, 1)
		for _, entry := range entries {
			require.Equal(t, e.GetCanonicalizedBody(), entry.Body)
			require.Equal(t, e.GetIntegratedTime(), entry.IntegratedTime)
		}
	}
}

func TestRekorRefusesWhatIsNoEntry(t *testing.T) {
	t.Parallel()
	s := newServices(t)
	s.sign(t)
	good := s.sent["/api/v1/log/entries"]
	for name, tc := range map[string]struct {
		header string
		body   []byte
		want   int
	}{
		"no JSON": {jsonType, []byte("nonsense"), http.StatusBadRequest},
		"another file": {jsonType, bytes.Replace(good, []byte(strings.Repeat("0", 64)), []byte(strings.Repeat("1", 64)), 1),
			http.StatusBadRequest},
		"another type":      {"Content-Type: text/plain", good, http.StatusUnsupportedMediaType},
		"larger than 1 MiB": {jsonType, bytes.Repeat([]byte(" "), 1<<20+1), http.StatusBadRequest},
	} {
		answer := s.ask(t, sigstore.RekorHost, http.MethodPost, "/api/v1/log/entries", tc.header, tc.body)
		require.Equal(t, tc.want, answer.Code, "%s: %s", name, answer.Body)
	}
	for _, path := range []string{"/api/v1/log/entries?logIndex=7", "/api/v1/log/entries/" + strings.Repeat("0", 80)} {
		answer := s.ask(t, sigstore.RekorHost, http.MethodGet, path, "", nil)
		require.Equal(t, http.StatusNotFound, answer.Code)
		require.Empty(t, answer.Body.String())
	}
}

func TestTimestampAuthorityIsStrict(t *testing.T) {
	t.Parallel()
	s := newServices(t)
	s.sign(t)
	const path, query = "/api/v1/timestamp", "Content-Type: application/timestamp-query"
	good := s.sent[path]
	answer := s.ask(t, sigstore.TimestampHost, http.MethodPost, path, query, good)
	require.Equal(t, http.StatusCreated, answer.Code)
	require.Equal(t, "application/timestamp-reply", answer.Header().Get("Content-Type"))
	for name, tc := range map[string]struct {
		path, header string
		body         []byte
		want         int
	}{
		"another path": {"/", query, good, http.StatusNotFound},
		"another type": {path, jsonType + "; application/timestamp-query", good, http.StatusUnsupportedMediaType},
		"no query":     {path, query, []byte("nonsense"), http.StatusBadRequest},
	} {
		answer := s.ask(t, sigstore.TimestampHost, http.MethodPost, tc.path, tc.header, tc.body)
		require.Equal(t, tc.want, answer.Code, name)
	}
}

// A certificate is for whoever holds the key and shows a token that was made for Sigstore.
func TestFulcioRefuses(t *testing.T) {
	t.Parallel()
	s := newServices(t)
	const path = "/api/v2/signingCert"
	s.sign(t)
	good := s.sent[path]
	s.sign(t)
	other := s.sent[path]
	bearer := func(token string) string { return "Authorization: Bearer " + token }
	mine := bearer(s.token(t, sign.Audience))
	require.Equal(t, http.StatusOK,
		s.ask(t, sigstore.FulcioHost, http.MethodPost, path, mine, with(t, good, "credentials", nil)).Code)
	for name, tc := range map[string]struct {
		header string
		body   []byte
		says   string
	}{
		"no token":         {"", with(t, good, "credentials", nil), "identity token"},
		"nonsense":         {bearer("a.b.c"), with(t, good, "credentials", nil), "identity token"},
		"another audience": {bearer(s.token(t, "https://github.com/x")), with(t, good, "credentials", nil), "identity token"},
		"another key":      {mine, with(t, good, "publicKeyRequest", other), "could not be verified"},
	} {
		answer := s.ask(t, sigstore.FulcioHost, http.MethodPost, path, tc.header, tc.body)
		require.Equal(t, http.StatusBadRequest, answer.Code, "%s: %s", name, answer.Body)
		require.Contains(t, answer.Body.String(), tc.says, name)
	}
}

// with is a JSON object with a field of another one, or without it.
func with(t *testing.T, body []byte, field string, other []byte) []byte {
	t.Helper()
	var object, lender map[string]map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(body, &object))
	if other == nil {
		delete(object, field)
	} else {
		require.NoError(t, json.Unmarshal(other, &lender))
		object[field]["proofOfPossession"] = lender[field]["proofOfPossession"]
	}
	out, err := json.Marshal(object)
	require.NoError(t, err)
	return out
}

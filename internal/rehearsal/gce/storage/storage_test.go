package storage_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/calimero-network/mero-tee/internal/attestation/endorsement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/storage"
)

var mrtd = tdx.Register{7}

func open(t *testing.T, dir string) (*storage.Server, *storage.Authority) {
	t.Helper()
	a, err := storage.OpenAuthority(filepath.Join(dir, "authority.pem"))
	require.NoError(t, err)
	s, err := storage.New(storage.Options{Dir: filepath.Join(dir, "buckets"), Authority: a,
		Firmware: []tdx.Register{mrtd}})
	require.NoError(t, err)
	return s, a
}

func ask(t *testing.T, s http.Handler, method, path string, header http.Header) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "https://storage.googleapis.com"+path, http.NoBody)
	for name, values := range header {
		r.Header[name] = values
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func TestTheBucket(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, _ := open(t, dir)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "buckets", "secret"), []byte("no bucket"), 0o600))
	for name, tc := range map[string]struct {
		method, path string
		header       http.Header
		status       int
		code         string
	}{
		"an endorsement":      {http.MethodGet, endorsement.Path(mrtd), nil, 200, ""},
		"its head":            {http.MethodHead, endorsement.Path(mrtd), nil, 200, ""},
		"none":                {http.MethodGet, endorsement.Path(tdx.Register{8}), nil, 404, "NoSuchKey"},
		"a folder":            {http.MethodGet, "/gce_tcb_integrity/ovmf_x64_csm", nil, 404, "NoSuchKey"},
		"a way out":           {http.MethodGet, "/gce_tcb_integrity/../secret", nil, 404, "NoSuchKey"},
		"another bucket":      {http.MethodGet, "/another/object", nil, 404, "NoSuchBucket"},
		"a file for a bucket": {http.MethodGet, "/secret/object", nil, 404, "NoSuchBucket"},
		"the host":            {http.MethodGet, "/", nil, 404, "NoSuchBucket"},
		"a list":              {http.MethodGet, "/gce_tcb_integrity/", nil, 403, "AccessDenied"},
		"a write":             {http.MethodPut, endorsement.Path(mrtd), nil, 403, "AccessDenied"},
		"with a name": {http.MethodGet, endorsement.Path(mrtd), http.Header{"Authorization": {"Bearer x"}}, 401,
			"AuthenticationRequired"},
		"with a header for it": {http.MethodGet, endorsement.Path(mrtd), http.Header{"Authorization": {""}}, 401,
			"AuthenticationRequired"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := ask(t, s, tc.method, tc.path, tc.header)
			require.Equal(t, tc.status, w.Code)
			if tc.code == "" {
				require.Equal(t, "application/octet-stream", w.Header().Get("Content-Type"))
				return
			}
			require.Contains(t, w.Body.String(), "<Error><Code>"+tc.code+"</Code>")
			require.Contains(t, w.Header().Get("Content-Type"), "application/xml")
		})
	}
}

// Another process over the same folder has the same root and gives the same bytes.
func TestWhatIsSignedStays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, a := open(t, dir)
	first := ask(t, s, http.MethodGet, endorsement.Path(mrtd), nil).Body.Bytes()
	again, b := open(t, dir)
	require.Equal(t, a.RootSHA256(), b.RootSHA256())
	require.Equal(t, first, ask(t, again, http.MethodGet, endorsement.Path(mrtd), nil).Body.Bytes())
	_, err := endorsement.Verify(first, b.RootSHA256(), mrtd, time.Now())
	require.NoError(t, err)
	signed, err := b.Endorse(storage.Statement{MRTDs: []tdx.Register{mrtd}})
	require.NoError(t, err, "the keys are there, too")
	_, err = endorsement.Verify(signed, a.RootSHA256(), mrtd, time.Now())
	require.NoError(t, err)
	require.NotEqual(t, first, signed)
	info, err := os.Stat(filepath.Join(dir, "authority.pem"))
	require.NoError(t, err)
	require.Zero(t, info.Mode().Perm()&0o077)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "authority.pem"), []byte("x"), 0o600))
	_, err = storage.OpenAuthority(filepath.Join(dir, "authority.pem"))
	require.ErrorContains(t, err, "does not hold a root and two keys")
}

func TestTheFormOfAnEndorsement(t *testing.T) {
	t.Parallel()
	s, a := open(t, t.TempDir())
	message := fields(t, ask(t, s, http.MethodGet, endorsement.Path(mrtd), nil).Body.Bytes())
	require.Len(t, message, 2)
	golden := fields(t, message[1])
	cert, err := x509.ParseCertificate(golden[4])
	require.NoError(t, err)
	require.NoError(t, cert.CheckSignature(x509.SHA256WithRSAPSS, message[1], message[2]))
	block, rest := pem.Decode(golden[6])
	require.NotNil(t, block)
	require.Empty(t, rest)
	root, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	require.NoError(t, cert.CheckSignatureFrom(root))
	require.Equal(t, 5*365+1, int(cert.NotAfter.Sub(cert.NotBefore).Hours()/24))
	require.Equal(t, x509.KeyUsageDigitalSignature, cert.KeyUsage)
	require.False(t, cert.IsCA)
	require.True(t, root.IsCA && root.MaxPathLenZero)
	for _, c := range []*x509.Certificate{cert, root} {
		require.Equal(t, x509.SHA256WithRSAPSS, c.SignatureAlgorithm)
		require.Contains(t, c.Subject.String(), "REHEARSAL")
	}
	again, err := a.Endorse(storage.Statement{MRTDs: []tdx.Register{mrtd}})
	require.NoError(t, err)
	require.NotEqual(t, golden[4], fields(t, fields(t, again)[1])[4])
	require.True(t, bytes.Contains(golden[8], mrtd[:]))
	require.Len(t, golden[5], 48)
}

// fields are the values of a message that are bytes, by number.
func fields(t *testing.T, message []byte) map[protowire.Number][]byte {
	t.Helper()
	out := map[protowire.Number][]byte{}
	for len(message) > 0 {
		n, kind, size := protowire.ConsumeTag(message)
		require.Positive(t, size)
		message = message[size:]
		if kind == protowire.BytesType {
			out[n], _ = protowire.ConsumeBytes(message)
		}
		size = protowire.ConsumeFieldValue(n, kind, message)
		require.Positive(t, size)
		message = message[size:]
	}
	return out
}

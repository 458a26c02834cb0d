package gce

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
	"google.golang.org/api/googleapi"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// What Compute Engine, or whoever answers in its place, says is one printable line, and a 404 proves an absence only
// with the API's own reason.
func FuzzRefusal(f *testing.F) {
	for _, s := range []string{`{"error":{"code":404,"message":"m","errors":[{"reason":"notFound"}]}}`,
		`{"error":{"code":403,"message":"Required 'compute.disks.get' permission","errors":[{"reason":"forbidden"}],` +
			`"details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"IAM","metadata":{"permission":"a.b"}}]}}`,
		`{"error":{"details":[1,null,{"@type":1}]}}`, "<html>", "", `{"error":{"message":"\u001b[2J\n::error::x"}}`} {
		f.Add(http.StatusNotFound, []byte(s))
		f.Add(http.StatusForbidden, []byte(s))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 300 || status > 599 {
			return
		}
		err := googleapi.CheckResponse(&http.Response{StatusCode: status, Header: http.Header{},
			Body: io.NopCloser(bytes.NewReader(body))})
		r := refusal(err)
		require.NotNil(t, r)
		for _, said := range []string{r.Reason, r.Message, r.Permission} {
			require.LessOrEqual(t, len([]rune(said)), maxMessage)
			for _, c := range said {
				require.True(t, unicode.IsPrint(c), "%q", said)
			}
		}
		require.Equal(t, r.Status == http.StatusNotFound && r.Reason != "", errors.Is(r, ErrNotFound))
		require.Contains(t, []fault.Code{fault.General, fault.Usage}, fault.CodeOf(explain("x", err)))
	})
}

// A key that cannot be used is said to be malformed, without a part of it.
func FuzzMalformed(f *testing.F) {
	for _, s := range []string{"", "{}", `{"type":"service_account"}`, `{"type":"external_account","client_email":"a"}`,
		`{"type":"service_account","client_email":"a","private_key":` +
			`"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, key []byte) {
		why := malformed(key)
		require.NotContains(t, why, "\n")
		if why == "" {
			require.Contains(t, string(key), "PRIVATE KEY")
		}
		if len(key) > 40 {
			require.NotContains(t, badKey(why).Error(), string(key))
		}
	})
}

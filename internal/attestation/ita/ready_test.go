package ita_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/ita"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

func TestReady(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	require.NoError(t, w.client(t).Ready(t.Context()))
	err := w.client(t, func(c *ita.Config) { c.Key = "another" }).Ready(t.Context())
	require.Equal(t, fault.Usage, fault.CodeOf(err))
	require.ErrorContains(t, err, "refuses the key")
	err = w.client(t, func(c *ita.Config) {
		c.Transport = around{c.Transport, func(r *http.Request) *http.Response {
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("<html>")), Request: r}
		}}
	}).Ready(t.Context())
	require.ErrorContains(t, err, "the answer holds no nonce", "another service's answer proves nothing")
}

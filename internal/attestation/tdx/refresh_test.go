package tdx_test

import (
	"context"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-tdx-guest/pcs"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

// serveRootCRL answers as a PCCS does: in hexadecimal, or plainly.
func (w *world) serveRootCRL(t *testing.T, out http.ResponseWriter, asHex bool) {
	url := w.pki.Root().CRLDistributionPoints[0]
	inner := httptest.NewRecorder()
	w.pcs.ServeHTTP(inner, httptest.NewRequestWithContext(t.Context(), http.MethodGet, url, nil))
	body := inner.Body.Bytes()
	if asHex {
		body = []byte(hex.EncodeToString(body) + "\n")
	}
	_, _ = out.Write(body)
}

func TestCollateralIsRenewedBeforeItsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		service := &counted{handler: w.pcs, paths: map[string]int{}}
		c := tdx.NewCollateral(&http.Client{Transport: served{service}})
		ctx, stop := context.WithCancel(t.Context())
		failures := make(chan string, 100)
		go c.Refresh(ctx, func(url string, err error) { failures <- url + ": " + err.Error() })
		get := func() error {
			_, _, err := c.GetContext(t.Context(), pcs.QeIdentityURL())
			return err
		}
		_, any := c.Age()
		require.False(t, any)
		require.NoError(t, get())
		for range 20 {
			time.Sleep(50 * time.Minute)
			age, any := c.Age()
			require.True(t, any)
			require.Less(t, age, 46*time.Minute)
			before := service.most()
			require.NoError(t, get())
			require.Equal(t, before, service.most(), "a node never waits for the service")
		}

		w.pcs.Turn(func(k *tdxsim.Knobs) { k.Unavailable = true })
		time.Sleep(50 * time.Minute)
		require.Contains(t, <-failures, "503 Service Unavailable")
		time.Sleep(time.Hour)
		require.Error(t, get(), "an answer ends at its end")

		w.pcs.Turn(func(k *tdxsim.Knobs) { k.Unavailable = false })
		require.NoError(t, get())
		time.Sleep(25 * time.Hour)
		before := service.most()
		time.Sleep(5 * time.Hour)
		require.Equal(t, before, service.most(), "what nobody uses is not renewed")
		_, any = c.Age()
		require.False(t, any)
		stop()
		synctest.Wait()
	})
}

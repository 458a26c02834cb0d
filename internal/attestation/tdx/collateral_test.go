package tdx_test

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-tdx-guest/pcs"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

func TestVerifyRefusesCollateral(t *testing.T) {
	t.Parallel()
	replace := func(path, old, new string) func(*tdxsim.Knobs) {
		return func(k *tdxsim.Knobs) {
			k.Tamper = func(asked string, body []byte) []byte {
				if !strings.HasSuffix(asked, path) {
					return body
				}
				return bytes.Replace(body, []byte(old), []byte(new), 1)
			}
		}
	}
	for name, tc := range map[string]struct {
		turn func(*tdxsim.Knobs)
		want string
	}{
		"expired":              {func(k *tdxsim.Knobs) { k.Validity = -time.Minute }, "has expired"},
		"from the future":      {func(k *tdxsim.Knobs) { k.Age = -time.Hour }, "in the future"},
		"PCK revoked":          {func(k *tdxsim.Knobs) { k.RevokePCK = true }, "PCK Leaf certificate in PCK certificate chain was revoked"},
		"platform CA revoked":  {func(k *tdxsim.Knobs) { k.RevokePlatformCA = true }, "intermediate certificate in PCK certificate chain was revoked"},
		"TCB signer revoked":   {func(k *tdxsim.Knobs) { k.RevokeTCBSigning = true }, "signing certificate was revoked"},
		"TCB info changed":     {replace("/tcb", `"tcbEvaluationDataNumber":17`, `"tcbEvaluationDataNumber":18`), "could not verify response body"},
		"QE identity changed":  {replace("/qe/identity", `"isvprodid":2`, `"isvprodid":3`), "could not verify response body"},
		"second TCB info":      {replace("/tcb", `{"tcbInfo":`, `{"TcbInfo":{},"tcbInfo":`), `unexpected member "TcbInfo"`},
		"repeated TCB info":    {replace("/tcb", `{"tcbInfo":`, `{"tcbInfo":{},"tcbInfo":`), `unexpected member "tcbInfo"`},
		"CRL is no CRL":        {replace("/pckcrl", "0", "1"), "unable to parse DER bytes of CRL"},
		"answer is empty":      {func(k *tdxsim.Knobs) { k.Tamper = func(string, []byte) []byte { return nil } }, "tcbInfo"},
		"service is down":      {func(k *tdxsim.Knobs) { k.Unavailable = true }, "503 Service Unavailable"},
		"QE identity is no QE": {replace("/qe/identity", `"id":"TD_QE"`, `"id":"QE"`), `"QE" does not match`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.pcs.Turn(tc.turn)
			got, err := w.verifier(t).Verify(t.Context(), w.quote(t, 4), w.reportData)
			requireNotGenuine(t, err, tc.want)
			require.Nil(t, got)
			require.Equal(t, name == "service is down", isUnavailable(err))
		})
	}
}

func TestVerifyAcceptsUpperCaseFMSPC(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pcs.Turn(func(k *tdxsim.Knobs) { k.UpperFMSPC = true })
	_, err := w.verifier(t).Verify(t.Context(), w.quote(t, 4), w.reportData)
	require.NoError(t, err)
}

func TestVerifyGivesUpWithItsCaller(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pcs.Turn(func(k *tdxsim.Knobs) { k.Hang = true })
	ctx, cancel := context.WithCancel(t.Context())
	go cancel()
	_, err := w.verifier(t).Verify(ctx, w.quote(t, 4), w.reportData)
	requireNotGenuine(t, err, context.Canceled.Error())
	require.True(t, isUnavailable(err))
}

// A quote whose certificates do not lead to the root chooses no address.
func TestVerifyFetchesNothingForAStranger(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var asked atomic.Int32
	source := tdx.NewCollateral(&http.Client{Transport: served{http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) })}})
	v, err := tdx.NewVerifier(tdx.Config{Root: intelRoot(t), Collateral: source})
	require.NoError(t, err)
	_, err = v.Verify(t.Context(), w.quote(t, 4), w.reportData)
	requireNotGenuine(t, err, "not the pinned")
	require.Zero(t, asked.Load())
}

// counted counts what reaches the service, per path.
type counted struct {
	handler http.Handler
	mu      sync.Mutex
	paths   map[string]int
}

func (c *counted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	c.paths[r.URL.Path]++
	c.mu.Unlock()
	c.handler.ServeHTTP(w, r)
}

func (c *counted) most() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.paths {
		n = max(n, m)
	}
	return n
}

func TestCollateralAsksOnceForMany(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	service := &counted{handler: w.pcs, paths: map[string]int{}}
	v, err := tdx.NewVerifier(tdx.Config{Root: w.pki.RootSHA256(), Collateral: tdx.NewCollateral(&http.Client{Transport: served{service}})})
	require.NoError(t, err)
	raw := w.quote(t, 4)
	errs := make(chan error)
	for range 16 {
		go func() {
			_, err := v.Verify(t.Context(), raw, w.reportData)
			errs <- err
		}()
	}
	for range 16 {
		require.NoError(t, <-errs)
	}
	require.Len(t, service.paths, 4)
	require.Equal(t, 1, service.most())
}

func TestCollateralAsksAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	service := &counted{handler: w.pcs, paths: map[string]int{}}
	c := tdx.NewCollateral(&http.Client{Transport: served{service}})
	now := time.Now()
	c.SetClock(func() time.Time { return now })
	get := func() {
		_, _, err := c.GetContext(t.Context(), pcs.QeIdentityURL())
		require.NoError(t, err)
	}
	get()
	now = now.Add(59 * time.Minute)
	get()
	require.Equal(t, 1, service.most(), "within the hour")
	now = now.Add(2 * time.Minute)
	get()
	require.Equal(t, 2, service.most(), "after an hour")

	w.pcs.Turn(func(k *tdxsim.Knobs) { k.Validity = 10 * time.Minute })
	now = time.Now().Add(3 * time.Hour)
	get()
	get()
	require.Equal(t, 4, service.most(), "what is past its nextUpdate is not kept")
	w.pcs.Turn(func(k *tdxsim.Knobs) {
		k.Tamper = func(string, []byte) []byte { return []byte("<html>sign in</html>") }
	})
	get()
	get()
	require.Equal(t, 6, service.most(), "what is no collateral is not kept")
}

func TestCollateralLimitsSizeAndStatus(t *testing.T) {
	t.Parallel()
	for want, handler := range map[string]http.HandlerFunc{
		"more than 4194304 bytes": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 4<<20+1)) },
		"404 Not Found":           http.NotFound,
	} {
		c := tdx.NewCollateral(&http.Client{Transport: served{handler}})
		_, _, err := c.GetContext(t.Context(), pcs.QeIdentityURL())
		require.ErrorContains(t, err, want)
	}
}

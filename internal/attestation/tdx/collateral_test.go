package tdx_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-tdx-guest/pcs"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

func TestVerifyRefusesCollateral(t *testing.T) {
	t.Parallel()
	replace := func(path, old, new string) func(*tdxsim.Faults) {
		return func(k *tdxsim.Faults) {
			k.Tamper = func(asked string, body []byte) []byte {
				if !strings.HasSuffix(asked, path) {
					return body
				}
				return bytes.Replace(body, []byte(old), []byte(new), 1)
			}
		}
	}
	for name, tc := range map[string]struct {
		turn func(*tdxsim.Faults)
		want string
	}{
		"expired":         {func(k *tdxsim.Faults) { k.Validity = -time.Minute }, "has expired"},
		"from the future": {func(k *tdxsim.Faults) { k.Age = -time.Hour }, "in the future"},
		"PCK revoked": {func(k *tdxsim.Faults) { k.RevokePCK = true },
			"PCK Leaf certificate in PCK certificate chain was revoked"},
		"platform CA revoked": {func(k *tdxsim.Faults) { k.RevokePlatformCA = true },
			"intermediate certificate in PCK certificate chain was revoked"},
		"TCB signer revoked": {func(k *tdxsim.Faults) { k.RevokeTCBSigning = true }, "signing certificate was revoked"},
		"TCB info changed": {replace("/tcb", `"tcbEvaluationDataNumber":17`, `"tcbEvaluationDataNumber":18`),
			"could not verify response body"},
		"QE identity changed":  {replace("/qe/identity", `"isvprodid":2`, `"isvprodid":3`), "could not verify response body"},
		"second TCB info":      {replace("/tcb", `{"tcbInfo":`, `{"TcbInfo":{},"tcbInfo":`), `unexpected member "TcbInfo"`},
		"repeated TCB info":    {replace("/tcb", `{"tcbInfo":`, `{"tcbInfo":{},"tcbInfo":`), `unexpected member "tcbInfo"`},
		"CRL is no CRL":        {replace("/pckcrl", "0", "1"), "unable to parse DER bytes of CRL"},
		"answer is empty":      {func(k *tdxsim.Faults) { k.Tamper = func(string, []byte) []byte { return nil } }, "tcbInfo"},
		"service is down":      {func(k *tdxsim.Faults) { k.Unavailable = true }, "503 Service Unavailable"},
		"QE identity is no QE": {replace("/qe/identity", `"id":"TD_QE"`, `"id":"QE"`), `"QE" does not match`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.pcs.Change(tc.turn)
			got, err := w.verifier(t).Verify(t.Context(), w.quote(t, 4), w.reportData)
			requireNotGenuine(t, err, tc.want)
			require.Nil(t, got)
			theirs := slices.Contains([]string{"PCK revoked", "platform CA revoked"}, name)
			require.Equal(t, !theirs, isUnavailable(err), "bad collateral is not the node's fault")
		})
	}
}

func TestVerifyGivesUpWithItsCaller(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pcs.Change(func(k *tdxsim.Faults) { k.Hang = true })
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
	source := tdx.NewCollateral(&http.Client{
		Transport: served{http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) })}})
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
	v, err := tdx.NewVerifier(tdx.Config{Root: w.pki.RootSHA256(),
		Collateral: tdx.NewCollateral(&http.Client{Transport: served{service}})})
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

	w.pcs.Change(func(k *tdxsim.Faults) { k.Validity = 10 * time.Minute })
	now = time.Now().Add(3 * time.Hour)
	get()
	get()
	require.Equal(t, 4, service.most(), "what is past its nextUpdate is not kept")
	w.pcs.Change(func(k *tdxsim.Faults) {
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

func TestVerifyJudgesByNewCollateral(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		turn func(*tdxsim.Faults)
		want string
	}{
		"PCK revoked": {func(k *tdxsim.Faults) { k.RevokePCK = true },
			"PCK Leaf certificate in PCK certificate chain was revoked"},
		"platform CA revoked": {func(k *tdxsim.Faults) { k.RevokePlatformCA = true },
			"intermediate certificate in PCK certificate chain was revoked"},
		"TCB signer revoked": {func(k *tdxsim.Faults) { k.RevokeTCBSigning = true }, "signing certificate was revoked"},
		"TCB revoked":        {func(k *tdxsim.Faults) { k.Platform = tdx.Revoked }, "tcb_status is Revoked"},
		"service is down":    {func(k *tdxsim.Faults) { k.Unavailable = true }, "collateral cannot be had"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c := w.collateral()
			v, err := tdx.NewVerifier(tdx.Config{Root: w.pki.RootSHA256(), Collateral: c})
			require.NoError(t, err)
			_, err = v.Verify(t.Context(), w.quote(t, 4), w.reportData)
			require.NoError(t, err)
			w.pcs.Change(tc.turn)
			_, err = v.Verify(t.Context(), w.quote(t, 4), w.reportData)
			require.NoError(t, err, "the answers in memory are those of before")
			c.SetClock(func() time.Time { return time.Now().Add(time.Hour) })
			_, err = v.Verify(t.Context(), w.quote(t, 4), w.reportData)
			require.ErrorContains(t, err, tc.want)
		})
	}
}

// frozen keeps every answer for ever, as a source that does not look at dates would.
type frozen struct {
	source  tdx.CollateralSource
	answers map[string]said
}

type said struct {
	header map[string][]string
	body   []byte
}

func (f frozen) GetContext(ctx context.Context, url string) (map[string][]string, []byte, error) {
	if a, ok := f.answers[url]; ok {
		return a.header, bytes.Clone(a.body), nil
	}
	header, body, err := f.source.GetContext(ctx, url)
	f.answers[url] = said{header, body}
	return header, body, err
}

func TestVerifyRefusesExpiredCollateral(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pcs.Change(func(k *tdxsim.Faults) { k.Validity = 40 * time.Second })
	var ahead atomic.Int64
	v, err := tdx.NewVerifier(tdx.Config{Root: w.pki.RootSHA256(), Collateral: frozen{w.collateral(), map[string]said{}},
		Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	require.NoError(t, err)
	raw := w.quote(t, 4)
	for range 2 {
		_, err = v.Verify(t.Context(), raw, w.reportData)
		require.NoError(t, err)
	}
	ahead.Store(int64(41 * time.Second))
	_, err = v.Verify(t.Context(), raw, w.reportData)
	requireNotGenuine(t, err, "has expired")
	ahead.Store(int64(-2 * time.Hour))
	_, err = v.Verify(t.Context(), raw, w.reportData)
	requireNotGenuine(t, err, "in the future")
}

func TestAMirrorIsAskedByThePathsOfAPCCS(t *testing.T) {
	t.Parallel()
	for _, rootCRL := range []string{"der", "hex"} {
		w := newWorld(t)
		asked := make(chan string, 16)
		pccs := http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
			asked <- r.Host + r.URL.Path
			if r.URL.Path == "/pccs/sgx/certification/v4/rootcacrl" {
				w.serveRootCRL(t, out, rootCRL == "hex")
				return
			}
			http.StripPrefix("/pccs", w.pcs).ServeHTTP(out, r)
		})
		v, err := tdx.NewVerifier(tdx.Config{Root: w.pki.RootSHA256(),
			Collateral: tdx.NewMirrored("https://pccs.example.com:8081/pccs/", &http.Client{Transport: served{pccs}})})
		require.NoError(t, err)
		_, err = v.Verify(t.Context(), w.quote(t, 4), w.reportData)
		require.NoError(t, err)
		close(asked)
		for address := range asked {
			require.Contains(t, address, "pccs.example.com:8081/pccs/")
		}
	}
}

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

		w.pcs.Change(func(k *tdxsim.Faults) { k.Unavailable = true })
		time.Sleep(50 * time.Minute)
		require.Contains(t, <-failures, "503 Service Unavailable")
		time.Sleep(time.Hour)
		require.Error(t, get(), "an answer ends at its end")

		w.pcs.Change(func(k *tdxsim.Faults) { k.Unavailable = false })
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

package ita_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/rehearsal/ita"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

const portal = "https://portal.trustauthority.intel.com"

// send asks with the headers that are given and no others of our own.
func (w *world) send(t *testing.T, method, url string, headers map[string][]string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader("{}"))
	require.NoError(t, err)
	for name, values := range headers {
		request.Header[http.CanonicalHeaderKey(name)] = values
	}
	response, err := w.client.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response
}

func TestOnlyTheMediaTypeOfIntelsConnectorIsAccepted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for url, good := range map[string][]string{
		api + "/appraisal/v2/nonce":           {"application/json"},
		portal + "/certs":                     {"application/json"},
		portal + "/crl/root-ca-crl.der":       nil,
		portal + "/crl/ats-ca-crl.der":        nil,
		portal + "/crl/root-ca-crl.der?again": {"application/pkix-crl"},
	} {
		ask := func(accept []string) int {
			return w.send(t, http.MethodGet, url, map[string][]string{"x-api-key": {key}, "Accept": accept}).StatusCode
		}
		require.Equal(t, http.StatusOK, ask(good), url)
		for _, bad := range [][]string{{"application/json, application/pkix-crl"}, {"*/*"}, {""}, {"text/html"},
			{"application/json", "application/json"}} {
			require.Equal(t, http.StatusNotAcceptable, ask(bad), "%s %q", url, bad)
		}
	}
	require.Equal(t, http.StatusNotAcceptable,
		w.send(t, http.MethodGet, portal+"/certs", nil).StatusCode, "an answer that is JSON has to be asked for")
}

func TestABodyMustSayThatItIsJSON(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for contentType, want := range map[string]int{"application/json": 400, "text/plain": 415, "": 415} {
		headers := map[string][]string{"x-api-key": {key}, "Accept": {"application/json"}, "Content-Type": {contentType}}
		require.Equal(t, want, w.send(t, http.MethodPost, api+"/appraisal/v2/attest", headers).StatusCode, contentType)
	}
}

func TestAKeyThatIsNoBase64IsNobodys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.service.APIKey = "no key!"
	headers := map[string][]string{"x-api-key": {"no key!"}, "Accept": {"application/json"}}
	require.Equal(t, http.StatusUnauthorized,
		w.send(t, http.MethodGet, api+"/appraisal/v2/nonce", headers).StatusCode, "although it is the service's own")
}

func TestAKeyWithoutPermissionIsForbidden(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.service.Change(func(f *ita.Faults) { f.Forbidden = true })
	status, _ := w.call(t, http.MethodGet, api+"/appraisal/v2/nonce", nil)
	require.Equal(t, http.StatusForbidden, status)
	status, _ = w.call(t, http.MethodGet, portal+"/certs", nil)
	require.Equal(t, http.StatusOK, status, "the signing keys are everybody's")
}

func TestBusyMayOrMayNotSayHowLong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for after, want := range map[time.Duration]string{0: "", 9 * time.Second: "9"} {
		w.service.Change(func(f *ita.Faults) { f.Busy, f.RetryAfter = 1, after })
		response := w.send(t, http.MethodGet, portal+"/certs", map[string][]string{"Accept": {"application/json"}})
		require.Equal(t, http.StatusTooManyRequests, response.StatusCode)
		require.Equal(t, want, response.Header.Get("Retry-After"))
	}
}

func TestAnswersCanBeTraced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for url, want := range map[string]int{portal + "/certs": 200, api + "/appraisal/v2/nonce": 401} {
		response := w.send(t, http.MethodGet, url,
			map[string][]string{"Accept": {"application/json"}, "request-id": {"ours"}})
		require.Equal(t, want, response.StatusCode)
		require.Len(t, response.Header.Get("trace-id"), 36)
		require.Equal(t, "ours", response.Header.Get("request-id"))
	}
}

// claimsOf reads a token without verifying it.
func claimsOf(t *testing.T, answer string) map[string]any {
	t.Helper()
	var said struct{ Token string }
	require.NoError(t, json.Unmarshal([]byte(answer), &said))
	parts := strings.Split(said.Token, ".")
	require.Len(t, parts, 3)
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	require.NoError(t, err)
	var claims struct{ TDX map[string]any }
	require.NoError(t, json.Unmarshal(body, &claims))
	return claims.TDX
}

// A recovery counts on the day on which Intel publishes it.
func TestARecoveryIsAppliedAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pcs.Change(func(f *tdxsim.Faults) { f.Early.Platform = tdx.OutOfDate })
	for behind, want := range map[bool]struct {
		status string
		number float64
	}{false: {"OutOfDate", 18}, true: {"UpToDate", 17}} {
		w.service.Change(func(f *ita.Faults) { f.Behind = behind })
		evidence := w.evidence(t, w.nonce(t), nil)
		status, answer := w.attest(t, map[string]any{"tdx": evidence})
		require.Equal(t, http.StatusOK, status, answer)
		claims := claimsOf(t, answer)
		require.Equal(t, want.status, claims["attester_tcb_status"])
		collateral := claims["tdx_collateral"].(map[string]any)
		require.InDelta(t, want.number, collateral["tcbevaluationdatanumber"], 0)
		require.Equal(t, digest.Of(evidence["quote"].([]byte)).Hex(), collateral["quotehash"])
	}
}

func TestAPlatformWithoutALevelGetsNoToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pcs.Change(func(f *tdxsim.Faults) { f.Early.NoLevel = "platform" })
	status, answer := w.attest(t, map[string]any{"tdx": w.evidence(t, w.nonce(t), nil)})
	require.Equal(t, http.StatusBadRequest, status)
	require.Contains(t, answer, "cannot be judged")
}

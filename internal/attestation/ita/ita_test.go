package ita_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/ita"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	local "github.com/calimero-network/mero-tee/internal/rehearsal/ita"
)

func TestAppraise(t *testing.T) {
	t.Parallel()
	for _, version := range []int{4, 5} {
		w := newWorld(t, version)
		got, err := w.client(t).Appraise(t.Context(), w.quote, w.ours)
		require.NoError(t, err)
		require.Len(t, got.ID, 36)
		require.Equal(t, 2, strings.Count(got.Token, "."))
	}
}

// "You have the option to request an attestation token signed with the RS256 algorithm."
func TestAppraiseRS256(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	c := w.client(t, func(c *ita.Config) {
		c.Transport = around{c.Transport, func(r *http.Request) *http.Response {
			if r.Method == http.MethodPost {
				var request map[string]any
				require.NoError(t, json.NewDecoder(r.Body).Decode(&request))
				request["token_signing_alg"] = "RS256"
				body, err := json.Marshal(request)
				require.NoError(t, err)
				r.Body = io.NopCloser(bytes.NewReader(body))
			}
			return nil
		}}
	})
	_, err := c.Appraise(t.Context(), w.quote, w.ours)
	require.NoError(t, err)
}

func claim(name string, value any) func(*local.Faults) {
	return func(k *local.Faults) { k.Claims = func(said map[string]any) { said[name] = value } }
}

func tdxClaim(name string, value any) func(*local.Faults) {
	return func(k *local.Faults) {
		k.Claims = func(said map[string]any) { said["tdx"].(map[string]any)[name] = value }
	}
}

// Whatever is wrong with the token, there is no appraisal, and the error says what was wrong.
func TestRefusedTokens(t *testing.T) {
	t.Parallel()
	ago := func(d time.Duration) int64 { return time.Now().Add(-d).Unix() }
	for name, tc := range map[string]struct {
		fault         func(*local.Faults)
		expected, got string // parts of Expected and Got; of the message when there is neither
	}{
		"another issuer": {claim("iss", "https://portal.example.com"), "https://portal.trustauthority.intel.com",
			"portal.example.com"},
		"no issuer":             {claim("iss", ""), "https://portal.trustauthority.intel.com", `""`},
		"somebody's audience":   {claim("aud", "somebody"), "no audience", "somebody"},
		"audiences":             {claim("aud", []string{"us", "them"}), "no audience", "them"},
		"expired":               {claim("exp", ago(2*time.Minute)), "valid at", "expires"},
		"from the future":       {claim("iat", ago(-2*time.Minute)), "valid at", "issued"},
		"not yet valid":         {claim("nbf", ago(-2*time.Minute)), "valid at", "issued"},
		"for ever":              {claim("exp", nil), "exp and iat", "not both"},
		"never issued":          {claim("iat", nil), "exp and iat", "not both"},
		"no appraisal of a TD":  {claim("tdx", nil), "", "no claim"},
		"an appraisal of no TD": {claim("tdx", "TDX"), "", "signature or content"},
		"another MRTD":          {tdxClaim("tdx_mrtd", tdx.Register{9}.String()), "tdx_mrtd 01", "tdx_mrtd 09"},
		"no RTMR0":              {tdxClaim("tdx_rtmr0", ""), "tdx_rtmr0 ", "tdx_rtmr0"},
		"another RTMR1":         {tdxClaim("tdx_rtmr1", tdx.Register{9}.String()), "tdx_rtmr1 ", "tdx_rtmr1 09"},
		"another RTMR2":         {tdxClaim("tdx_rtmr2", tdx.Register{9}.String()), "tdx_rtmr2 ", "tdx_rtmr2 09"},
		"another RTMR3":         {tdxClaim("tdx_rtmr3", tdx.Register{9}.String()), "tdx_rtmr3 ", "tdx_rtmr3 09"},
		"another nonce": {tdxClaim("tdx_report_data", strings.Repeat("00", 64)), "tdx_report_data ",
			"tdx_report_data 00"},
		"another TCB status": {tdxClaim("attester_tcb_status", "OutOfDate"), "attester_tcb_status UpToDate",
			"attester_tcb_status OutOfDate"},
		"a debug TD": {tdxClaim("tdx_is_debuggable", true), "tdx_is_debuggable false", "tdx_is_debuggable true"},
		"silent about debugging": {tdxClaim("tdx_is_debuggable", nil), "tdx_is_debuggable false",
			"tdx_is_debuggable not said"},
		"a root of the same name": {func(k *local.Faults) { k.OtherAuthority = true }, "", ""},
		"a revoked key":           {func(k *local.Faults) { k.Revoked = true }, "not revoked", "revoked on"},
		"stale revocation lists":  {func(k *local.Faults) { k.StaleLists = true }, "", "it holds from"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 4)
			w.service.Change(tc.fault)
			if name == "a root of the same name" {
				tc.expected = fmt.Sprintf("%x", w.root)
			}
			requireRefusal(t, w.client(t), w, tc.expected, tc.got)
		})
	}
}

// requireRefusal: an error of code Verification without an appraisal.
func requireRefusal(t *testing.T, c *ita.Client, w *world, expected, got string) {
	t.Helper()
	appraisal, err := c.Appraise(t.Context(), w.quote, w.ours)
	require.Nil(t, appraisal)
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Equal(t, fault.Verification, f.Code, err)
	require.Contains(t, f.Expected, expected)
	if expected == "" {
		require.Contains(t, f.Error(), got)
	} else {
		require.Contains(t, f.Got, got)
	}
}

// A token is about one quote: another one's differs in whatever differs, all of it told.
func TestTokenForAnotherQuote(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	other, _ := w.attest(t, tdx.Register{7}, 4)
	w.service.Change(func(k *local.Faults) { k.Quote = other })
	requireRefusal(t, w.client(t), w, "tdx_mrtd 01", "tdx_mrtd 07")
	requireRefusal(t, w.client(t), w, "tdx_report_data", "tdx_report_data")

	again, _ := w.attest(t, tdx.Register{1}, 4) // the same TD's, over an older nonce
	w.service.Change(func(k *local.Faults) { k.Quote = again })
	requireRefusal(t, w.client(t), w, "tdx_report_data", "tdx_report_data")
}

func TestTheServiceRefusesTheQuote(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	w.quote[200] ^= 1 // MRTD, under the attestation key's signature
	requireRefusal(t, w.client(t), w, "status 200", "status 400")
}

func TestTamperedToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	good, err := w.client(t).Appraise(t.Context(), w.quote, w.ours)
	require.NoError(t, err)
	header, rest, _ := strings.Cut(good.Token, ".")
	claims, signature, _ := strings.Cut(rest, ".")
	for name, token := range map[string]string{
		"another signature": header + "." + claims + "." + signature[:len(signature)-8] + "AAAAAAAA",
		"other claims":      header + "." + claims[:40] + "A" + claims[41:] + "." + signature,
		"no signature":      header + "." + claims + ".",
		"alg none":          "eyJhbGciOiJub25lIn0." + claims + ".",
		"no JWT":            "token",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := w.client(t, func(c *ita.Config) {
				c.Transport = answering(c.Transport, http.StatusOK, fmt.Sprintf(`{"token":%q}`, token), nil)
			})
			requireRefusal(t, c, w, "", "Intel Trust Authority: the token")
		})
	}
}

// Whatever the service answers, only the very token that it signed gives an appraisal.
func FuzzToken(f *testing.F) {
	w := newWorld(f, 4)
	good, err := w.client(f).Appraise(f.Context(), w.quote, w.ours)
	require.NoError(f, err)
	f.Add(good.Token)
	f.Add(good.Token[:len(good.Token)/2])
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Fuzz(func(t *testing.T, token string) {
		body, err := json.Marshal(map[string]string{"token": token})
		require.NoError(t, err)
		c := w.client(t, func(c *ita.Config) { c.Transport = answering(c.Transport, http.StatusOK, string(body), nil) })
		appraisal, err := c.Appraise(t.Context(), w.quote, w.ours)
		require.Equal(t, err == nil, appraisal != nil)
		if err == nil {
			require.Equal(t, good.Token, strings.Join(strings.Fields(token), ""))
		}
	})
}

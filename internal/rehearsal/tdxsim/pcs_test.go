package tdxsim_test

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

const (
	tcb      = "/tdx/certification/v4/tcb"
	identity = "/tdx/certification/v4/qe/identity"
	crl      = "/sgx/certification/v4/pckcrl"
)

// service is a PCS of one platform, and how to ask it.
type service struct {
	*tdxsim.PCS
	platform *tdxsim.Platform
}

func newService(t testing.TB) service {
	t.Helper()
	pki, platform := newPlatform(t, "pcs rules", 0)
	return service{tdxsim.NewPCS(pki, time.Now, platform), platform}
}

func (s service) ask(t testing.TB, method, path string) *http.Response {
	t.Helper()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
	return w.Result()
}

func (s service) status(t testing.TB, path string) int {
	t.Helper()
	r := s.ask(t, http.MethodGet, path)
	defer r.Body.Close()
	return r.StatusCode
}

func TestParametersOfAnotherFormAreRefused(t *testing.T) {
	t.Parallel()
	s := newService(t)
	fmspc := "fmspc=" + s.platform.FMSPC()
	for path, want := range map[string]int{
		tcb:                                400,
		tcb + "?fmspc=":                    400,
		tcb + "?fmspc=53494d0000":          400,
		tcb + "?fmspc=53494d00000g":        400,
		tcb + "?" + fmspc + "&" + fmspc:    400,
		tcb + "?" + fmspc + "&update=":     400,
		tcb + "?" + fmspc + "&update=late": 400,
		tcb + "?" + fmspc + "&update=early&update=early":  400,
		tcb + "?" + fmspc + "&tcbEvaluationDataNumber=x":  400,
		tcb + "?" + fmspc + "&tcbevaluationdatanumber=17": 400,
		tcb + "?" + fmspc + "&unheard=of":                 400,
		tcb + "?" + fmspc + "&update=early":               200,
		tcb + "?" + fmspc + "&update=standard":            200,
		tcb + "?" + fmspc + ";update=early":               400,
		identity + "?update=late":                         400,
		identity + "?" + fmspc:                            400,
		identity + "?update=early":                        200,
		crl:                                               400,
		crl + "?ca=root":                                  400,
		crl + "?ca=platform&encoding=ber":                 400,
		crl + "?ca=platform&update=early":                 400,
		"/tdx/certification/v3/tcb?" + fmspc:              404,
		"/tdx/certification/v4/tcb/?" + fmspc:             404,
	} {
		require.Equal(t, want, s.status(t, path), path)
	}
}

// "Cannot be used with": the update beside a number.
func TestAnUpdateAndANumberExcludeEachOther(t *testing.T) {
	t.Parallel()
	s := newService(t)
	both := "update=early&tcbEvaluationDataNumber=18"
	require.Equal(t, http.StatusBadRequest, s.status(t, tcb+"?fmspc="+s.platform.FMSPC()+"&"+both))
	require.Equal(t, http.StatusBadRequest, s.status(t, identity+"?"+both))
}

func TestOldNumbersAreGoneAndFutureOnesUnknown(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for number, want := range map[string]int{"16": 410, "17": 200, "18": 200, "19": 404} {
		require.Equal(t, want, s.status(t, tcb+"?fmspc="+s.platform.FMSPC()+"&tcbEvaluationDataNumber="+number), number)
		require.Equal(t, want, s.status(t, identity+"?tcbEvaluationDataNumber="+number), number)
	}
}

func TestAFamilyThatIsNotOfTheServiceIsUnknown(t *testing.T) {
	t.Parallel()
	require.Equal(t, http.StatusNotFound, newService(t).status(t, tcb+"?fmspc=00906ed50000"))
}

// said is what the service says at the address of an update.
func (s service) said(t testing.TB, path string) (number int, status string) {
	t.Helper()
	r := s.ask(t, http.MethodGet, path)
	defer r.Body.Close()
	var answer map[string]json.RawMessage
	require.NoError(t, json.NewDecoder(r.Body).Decode(&answer))
	for _, name := range []string{"tcbInfo", "enclaveIdentity"} {
		var body struct {
			Number int `json:"tcbEvaluationDataNumber"`
			Levels []struct {
				Status string `json:"tcbStatus"`
			} `json:"tcbLevels"`
		}
		if answer[name] != nil {
			require.NoError(t, json.Unmarshal(answer[name], &body))
			return body.Number, body.Levels[0].Status
		}
	}
	return 0, ""
}

func TestTheStandardUpdateIsGivenUnlessAnotherIsAskedFor(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.Change(func(f *tdxsim.Faults) { f.Early.Platform, f.Early.QE = tdx.OutOfDate, tdx.OutOfDate })
	for _, path := range []string{tcb + "?fmspc=" + s.platform.FMSPC(), identity + "?"} {
		for query, want := range map[string]struct {
			number int
			status string
		}{"": {17, "UpToDate"}, "&update=standard": {17, "UpToDate"}, "&update=early": {18, "OutOfDate"},
			"&tcbEvaluationDataNumber=18": {18, "OutOfDate"}} {
			number, status := s.said(t, strings.Replace(path+query, "?&", "?", 1))
			require.Equal(t, want.number, number, path+query)
			require.Equal(t, want.status, status, path+query)
		}
	}
}

// One family may be behind where another is not; the quoting enclave is everybody's.
func TestARecoveryIsOfOneFamily(t *testing.T) {
	t.Parallel()
	pki, first := newPlatform(t, "families", 0)
	second, err := pki.NewPlatform(1)
	require.NoError(t, err)
	s := service{tdxsim.NewPCS(pki, time.Now, first, second), second}
	s.Recover(second, func(f *tdxsim.Family) { f.Standard.Platform, f.Early.Platform = tdx.OutOfDate, tdx.Revoked })
	for path, want := range map[string]string{
		tcb + "?fmspc=" + first.FMSPC():                    "UpToDate",
		tcb + "?fmspc=" + first.FMSPC() + "&update=early":  "UpToDate",
		tcb + "?fmspc=" + second.FMSPC():                   "OutOfDate",
		tcb + "?fmspc=" + second.FMSPC() + "&update=early": "Revoked",
	} {
		_, status := s.said(t, path)
		require.Equal(t, want, status, path)
	}
}

func TestRefusalsHaveARequestIDAndNoBody(t *testing.T) {
	t.Parallel()
	s := newService(t)
	seen := map[string]bool{}
	for range 2 {
		for _, path := range []string{tcb, tcb + "?fmspc=000000000000", identity + "?tcbEvaluationDataNumber=1", identity} {
			r := s.ask(t, http.MethodGet, path)
			id := r.Header.Get("Request-ID")
			require.Regexp(t, `^[0-9a-f]{32}$`, id)
			require.False(t, seen[id], "each request has its own")
			seen[id] = true
			if r.StatusCode != http.StatusOK {
				body, err := io.ReadAll(r.Body)
				require.NoError(t, err)
				require.Empty(t, body, path)
			}
			require.NoError(t, r.Body.Close())
		}
	}
}

func TestOnlyGetIsServed(t *testing.T) {
	t.Parallel()
	r := newService(t).ask(t, http.MethodPost, identity)
	require.NoError(t, r.Body.Close())
	require.Equal(t, http.StatusMethodNotAllowed, r.StatusCode)
}

func TestBusyMayOrMayNotSayHowLong(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for _, after := range []string{"", "7"} {
		s.Change(func(f *tdxsim.Faults) { f.Busy, f.RetryAfter = true, after })
		r := s.ask(t, http.MethodGet, identity)
		require.NoError(t, r.Body.Close())
		require.Equal(t, http.StatusTooManyRequests, r.StatusCode)
		require.Equal(t, after, r.Header.Get("Retry-After"))
	}
}

// The encoding is PEM unless DER is asked for.
func TestTheRevocationListIsPEMByDefault(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for _, query := range []string{"?ca=platform", "?ca=platform&encoding=pem"} {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, crl+query, nil))
		require.Equal(t, "application/x-pem-file", w.Header().Get("Content-Type"))
		block, rest := pem.Decode(w.Body.Bytes())
		require.NotNil(t, block)
		require.Empty(t, rest)
		require.Equal(t, "X509 CRL", block.Type)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, crl+"?ca=platform&encoding=der", nil))
	require.Equal(t, "application/pkix-crl", w.Header().Get("Content-Type"))
}

// fact is what Intel's public description of version 4 says of one answer:
// headers, and the members of its objects by path, the optional ones marked "?".
type fact struct {
	Source      string            `json:"source"`
	Path        string            `json:"path"`
	ContentType string            `json:"content_type"`
	Chain       string            `json:"chain_header"`
	Members     map[string]string `json:"members"`
}

func TestAnswersHaveTheMembersOfIntelsDescription(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.Change(func(f *tdxsim.Faults) { f.Platform, f.Module, f.QE = tdx.OutOfDate, tdx.OutOfDate, tdx.OutOfDate })
	data, err := os.ReadFile("testdata/pcs-v4.json")
	require.NoError(t, err)
	var facts []fact
	require.NoError(t, json.Unmarshal(data, &facts))
	require.Len(t, facts, 2)
	for _, f := range facts {
		r := s.ask(t, http.MethodGet, strings.Replace(f.Path, "{fmspc}", s.platform.FMSPC(), 1))
		require.Equal(t, http.StatusOK, r.StatusCode)
		require.Equal(t, f.ContentType, r.Header.Get("Content-Type"))
		require.NotEmpty(t, r.Header.Get(f.Chain))
		require.NotEmpty(t, r.Header.Get("Request-ID"))
		var answer any
		require.NoError(t, json.NewDecoder(r.Body).Decode(&answer))
		require.NoError(t, r.Body.Close())
		compareMembers(t, f, "", answer)
	}
}

// compareMembers: every object has all members of the description and no other.
func compareMembers(t *testing.T, f fact, at string, v any) {
	t.Helper()
	switch v := v.(type) {
	case []any:
		require.NotEmpty(t, v, at)
		for _, e := range v {
			compareMembers(t, f, at+"[]", e)
		}
	case map[string]any:
		described, ok := f.Members[at]
		require.True(t, ok, "%s is not described", at)
		known := map[string]bool{}
		for _, name := range strings.Fields(described) {
			plain, optional := strings.CutSuffix(name, "?")
			known[plain] = true
			require.True(t, optional || v[plain] != nil, "%s lacks %s", at, plain)
		}
		for name, e := range v {
			require.True(t, known[name], "%s has %s, which is not described", at, name)
			compareMembers(t, f, at+"."+name, e)
		}
	}
}

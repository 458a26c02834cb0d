package dstack_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/retry"
	"github.com/calimero-network/mero-tee/internal/provider/dstack"
)

// provider answers "METHOD /path" with a status and a body, and remembers what it was asked.
type provider struct {
	answers map[string]string // "404 text" or JSON
	mu      sync.Mutex
	asked   []string
	on      func(request string)
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	request := r.Method + " " + r.URL.Path
	p.mu.Lock()
	p.asked = append(p.asked, request)
	p.mu.Unlock()
	if p.on != nil {
		p.on(request)
	}
	answer, ok := p.answers[request]
	if !ok {
		answer = "404 {}"
	}
	var status int
	var body string
	if _, err := fmt.Sscanf(answer, "%d ", &status); err == nil {
		_, body, _ = strings.Cut(answer, " ")
		if status/100 == 3 {
			w.Header().Set("Location", body)
		}
		w.WriteHeader(status)
		answer = body
	}
	_, _ = w.Write([]byte(answer))
}

func (p *provider) requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string{}, p.asked...)
}

func serve(t *testing.T, p *provider) *dstack.Client {
	t.Helper()
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	c := dstack.New(s.URL+"/api/", "secret-key", http.DefaultTransport)
	c.Wait = func(ctx context.Context, d time.Duration) error { return retry.For(ctx, min(d, 10*time.Millisecond)) }
	return c
}

// busy refuses so many requests with a status and headers.
type busy struct {
	left   int
	status int
	header http.Header
	body   string
	reset  bool
}

func (b *busy) RoundTrip(r *http.Request) (*http.Response, error) {
	if b.left--; b.left >= 0 && b.reset {
		return nil, syscall.ECONNRESET
	} else if b.left >= 0 {
		return &http.Response{StatusCode: b.status, Header: b.header, Body: io.NopCloser(strings.NewReader(b.body)),
			Request: r}, nil
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(`{"app_id":"aa"}`)), Request: r},
		nil
}

func TestABusyProviderIsAskedAgain(t *testing.T) {
	t.Parallel()
	app := dstack.App{Name: "mero-kms", Compose: json.RawMessage("{}")}
	get := func(c *dstack.Client) error { _, err := c.Get(t.Context(), "app_aa"); return err }
	provision := func(c *dstack.Client) error { _, err := c.Provision(t.Context(), app); return err }
	told := http.Header{"Retry-After": {"7"}}
	for name, tc := range map[string]struct {
		ask    func(*dstack.Client) error
		busy   busy
		pauses []time.Duration
		want   string
	}{
		"a question": {get, busy{left: 2, status: 503}, []time.Duration{time.Second, 2 * time.Second}, ""},
		"a question with a time": {get, busy{left: 1, status: 503, header: told},
			[]time.Duration{7 * time.Second}, ""},
		"a question for ever": {get, busy{left: 9, status: 502}, []time.Duration{1e9, 2e9, 4e9}, "answered 502"},
		"a request that was not taken": {provision, busy{left: 1, status: 429, header: told},
			[]time.Duration{7 * time.Second}, ""},
		"a request that may be done": {provision, busy{left: 1, status: 502}, []time.Duration{time.Second}, ""},
		"a limit without a time": {provision, busy{left: 2, status: 429}, []time.Duration{5 * time.Second, 10 * time.Second},
			""},
		"a quota that will not refill": {provision, busy{left: 1, status: 429,
			body: `{"detail":{"error_code":"ERR-04-002","message":"full"}}`}, nil, "answered 429: full"},
		"a connection that is reset": {get, busy{left: 1, reset: true}, []time.Duration{time.Second}, ""},
		"a reset of a request":       {provision, busy{left: 1, reset: true}, []time.Duration{time.Second}, ""},
		"longer than can be waited for": {get, busy{left: 1, status: 429, header: http.Header{"Retry-After": {"3600"}}}, nil,
			"1h0m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := dstack.New("https://provider.example", "k", &tc.busy)
			var pauses []time.Duration
			c.Wait = func(ctx context.Context, d time.Duration) error { pauses = append(pauses, d); return ctx.Err() }
			err := tc.ask(c)
			require.Equal(t, tc.pauses, pauses)
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestName(t *testing.T) {
	t.Parallel()
	require.Equal(t, "mero-kms-1-2-0-rc-1-locked-read-only", dstack.Name("mero-kms", "1.2.0-rc.1", "locked-read-only"))
}

func TestProvisionChecksItsInput(t *testing.T) {
	t.Parallel()
	p := &provider{}
	c := serve(t, p)
	for _, name := range []string{"", "abcd", "1abcd", "mero-kms-1.2.0", "under_score", "ends-", strings.Repeat("a", 64),
		"spa ce", "new\nline", "two--hyphens"} {
		_, err := c.Provision(t.Context(), dstack.App{Name: name, Compose: json.RawMessage("{}")})
		require.ErrorContains(t, err, "refuse the name", "%q", name)
		require.Equal(t, fault.Usage, fault.CodeOf(err))
	}
	_, err := c.Provision(t.Context(), dstack.App{Name: "right", Compose: json.RawMessage("{")})
	require.ErrorContains(t, err, "not JSON")
	require.Empty(t, p.requests(), "nothing was sent")
}

func TestRequestShape(t *testing.T) {
	t.Parallel()
	var header http.Header
	var body map[string]any
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header = r.Header
		_ = json.NewDecoder(r.Body).Decode(&body)
		_, _ = w.Write([]byte(`{"app_id":"aa","compose_hash":"bb","later_field":1}`))
	}))
	t.Cleanup(s.Close)
	got, err := dstack.New(s.URL, "secret-key", http.DefaultTransport).Provision(t.Context(),
		dstack.App{Name: "shape", Compose: json.RawMessage(`{"name":"<&>"}`), InstanceType: "tdx.large", Region: "eu",
			Image: "dstack-0.5.9"})
	require.NoError(t, err)
	require.Equal(t, &dstack.Provisioned{AppID: "aa", ComposeHash: "bb"}, got)
	require.Equal(t, "secret-key", header.Get("X-API-Key"))
	require.Equal(t, "2026-01-21", header.Get("X-Phala-Version"))
	require.Regexp(t, "^mero-tee ", header.Get("User-Agent"))
	require.Equal(t, map[string]any{"name": "shape", "instance_type": "tdx.large", "region": "eu", "kms": "PHALA",
		"image":      "dstack-0.5.9",
		"prefer_dev": false, "listed": false, "compose_file": map[string]any{"name": "<&>"}}, body)
}

// The OS image is the one of that name and hash, or nothing is created.
func TestOSImage(t *testing.T) {
	t.Parallel()
	app := dstack.App{Name: "mero-app", Compose: json.RawMessage("{}"), Image: "dstack-0.5.9",
		OSImageHash: digest.Digest{1}}
	for name, tc := range map[string]struct {
		answer, images string
		code           fault.Code
		expected       string
	}{
		"the one":              {`{"app_id":"aa","os_image_hash":"` + app.OSImageHash.Hex() + `"}`, "", 0, ""},
		"as a chain writes it": {`{"app_id":"aa","os_image_hash":"0x` + app.OSImageHash.Hex() + `"}`, "", 0, ""},
		"another":              {`{"app_id":"aa","os_image_hash":"cafe"}`, "", fault.Verification, app.OSImageHash.Hex()},
		"no word":              {`{"app_id":"aa","os_image_hash":null}`, "", fault.Verification, app.OSImageHash.Hex()},
		"unknown": {`400 {"detail":{"error_code":"ERR-02-010","message":"no image"}}`,
			`{"items":[{"name":"dstack-0.5.8"},{"name":"dstack-0.5.11"}]}`, fault.Usage, "one of dstack-0.5.8, dstack-0.5.11"},
		"on no node": {`400 {"detail":{"error_code":"ERR-02-013","message":"no node"}}`, `500 {}`, fault.Usage, "console"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &provider{answers: map[string]string{"POST /api/cvms/provision": tc.answer, "GET /api/os-images": tc.images}}
			_, err := serve(t, p).Provision(t.Context(), app)
			if tc.expected == "" {
				require.NoError(t, err)
				return
			}
			require.Equal(t, tc.code, fault.CodeOf(err))
			var f *fault.Error
			require.ErrorAs(t, err, &f)
			require.Contains(t, f.Expected, tc.expected)
		})
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]struct {
		text, hint string
		code       fault.Code
	}{
		`401 {"detail":"invalid API key"}`: {"answered 401: invalid API key", "PHALA_CLOUD_API_KEY", fault.Usage},
		`403 {"message":"no"}`:             {"answered 403: no", "PHALA_CLOUD_API_KEY", fault.Usage},
		`403 error code: 1010`:             {"answered 403: error code: 1010", "User-Agent", fault.General},
		`422 {"error":"bad name"}`:         {"answered 422: bad name", "letters, digits and hyphens", fault.Usage},
		`422 {"detail":[{"loc":["body","name"],"msg":"too short"},{"loc":["body"],"msg":"odd"}]}`: {
			"answered 422: [body name]: too short; [body]: odd", "letters, digits and hyphens", fault.Usage},
		`409 {"detail":{"error_code":"ERR-01-004","message":"there is one","suggestions":["rename"]}}`: {
			"answered 409: there is one (ERR-01-004); rename", "left alone", fault.General},
		`400 {"detail":{"odd":1}}`:                 {`answered 400: {"odd":1}`, "", fault.General},
		`402 quota`:                                {"answered 402: quota", "quota", fault.General},
		`500 ` + strings.Repeat("x", 1000):         {"answered 500: " + strings.Repeat("x", 400), "", fault.General},
		`302 https://elsewhere.example/`:           {"answered 302", "", fault.General},
		`{"name":1}`:                               {"not the JSON expected", "", fault.General},
		`<html>`:                                   {"not the JSON expected", "", fault.General},
		`"` + strings.Repeat("x", (4<<20)+1) + `"`: {"larger than", "", fault.General},
	} {
		c := serve(t, &provider{answers: map[string]string{"GET /api/cvms/x": answer}})
		_, err := c.Get(t.Context(), "x")
		require.ErrorContains(t, err, want.text)
		require.NotContains(t, err.Error(), "secret-key")
		require.Less(t, len(err.Error()), 700)
		require.Equal(t, want.code, fault.CodeOf(err))
		var f *fault.Error
		if want.hint != "" {
			require.ErrorAs(t, err, &f)
			require.Contains(t, f.Hint, want.hint)
		}
	}
}

func TestBadBase(t *testing.T) {
	t.Parallel()
	_, err := dstack.New("http://bad host/", "k", http.DefaultTransport).Get(t.Context(), "x")
	require.ErrorContains(t, err, "PHALA_DSTACK_URL")
	require.Equal(t, fault.Usage, fault.CodeOf(err))
}

func deployable() map[string]string {
	return map[string]string{
		"POST /api/cvms/provision": `{"app_id":"aa",` +
			`"compose_hash":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}`,
		"POST /api/cvms":                    `{"vm_uuid":null,"status":"creating","name":"mero-app"}`,
		"GET /api/cvms/app_aa/state":        `{"name":"mero-app","status":"starting"}`,
		"GET /api/cvms/app_aa/compose_file": `{}`,
		"DELETE /api/cvms/app_aa":           "204 ",
	}
}

const emptyHash = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" // of "{}", by sha256sum

// A provider that runs another file is told by all the hashes and by what it did to the fields.
func TestDeployShowsWhatTheProviderAltered(t *testing.T) {
	t.Parallel()
	const measured = `{"tcb_info":{"event_log":[{"event":"app-id","event_payload":"aa"},` +
		`{"event":"compose-hash","event_payload":"cafe"}]}}`
	for name, tc := range map[string]struct {
		ours, provisioned, stored string
		attestation               string
		got                       []string
	}{
		"a field is added": {`{"a":1}`, "bb", `{"a":1,"z":true}`, measured, []string{"bb (the provider's)", "cafe (measured)",
			"(of what is stored: added z)"}},
		"only its word differs": {`{}`, "bb", `{}`, measured,
			[]string{"bb (the provider's)", emptyHash + " (of what is stored"}},
		"only what is stored differs": {`{"a":1}`, "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862",
			`{"a":2}`, measured, []string{"changed a"}},
		"a field is gone, and nothing was measured": {`{"a":1,"b":2}`, "bb", `{"b":2}`, `{"tcb_info":null}`,
			[]string{"not known (measured)", "lost a"}},
		"it is no object": {`{"a":1}`, "bb", `[]`, `500 {}`, []string{"not known (measured)", "lost a"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &provider{answers: deployable()}
			p.answers["POST /api/cvms/provision"] = `{"app_id":"aa","compose_hash":"` + tc.provisioned + `"}`
			p.answers["GET /api/cvms/app_aa"] = `{"app_id":"aa","name":"mero-app","gateway":{"base_domain":"gw.example"}}`
			p.answers["GET /api/cvms/app_aa/compose_file"] = tc.stored
			p.answers["GET /api/cvms/app_aa/attestation"] = tc.attestation
			s := httptest.NewServer(p)
			t.Cleanup(s.Close)
			c := dstack.New(s.URL+"/api", "k", healthy{})
			c.Wait = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
			_, err := c.Deploy(t.Context(), dstack.App{Name: "mero-app", Compose: json.RawMessage(tc.ours)})
			require.Equal(t, fault.Verification, fault.CodeOf(err))
			var f *fault.Error
			require.ErrorAs(t, err, &f)
			require.Contains(t, f.Expected, "(ours)")
			for _, want := range tc.got {
				require.Contains(t, f.Got, want)
			}
			require.Equal(t, "DELETE /api/cvms/app_aa", p.requests()[len(p.requests())-1])
		})
	}
}

func TestDeployGivesUpAndDeletes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		cvm, state string
		want       string
	}{
		"the machine did not boot": {`{"app_id":"aa","status":"any word"}`,
			`{"status":"any word","exited_at":null,"boot_error":"failed to pull images"}`, "failed to pull images"},
		"the machine ended": {`{"app_id":"aa"}`, `{"status":"any word","exited_at":"2026-11-26T10:00:00Z","boot_error":null}`,
			"exited at 2026-11-26T10:00:00Z"},
		"the key was withdrawn":    {`401 {"detail":"expired"}`, "{}", "expired"},
		"it was while being asked": {`{"app_id":"aa"}`, `401 {"detail":"expired"}`, "expired"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &provider{answers: deployable()}
			p.answers["GET /api/cvms/app_aa"], p.answers["GET /api/cvms/app_aa/state"] = tc.cvm, tc.state
			_, err := serve(t, p).Deploy(t.Context(), dstack.App{Name: "mero-app", Compose: json.RawMessage("{}")})
			var f *fault.Error
			require.ErrorAs(t, err, &f)
			require.Contains(t, err.Error()+f.Got, tc.want)
			require.Equal(t, "DELETE /api/cvms/app_aa", p.requests()[len(p.requests())-1])
		})
	}
}

func TestCancelledDeployDeletes(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	p := &provider{answers: deployable()}
	p.answers["GET /api/cvms/app_aa"] = `{"app_id":"aa","status":"starting"}`
	p.on = func(request string) {
		if request == "GET /api/cvms/app_aa" {
			cancel()
		}
	}
	_, err := serve(t, p).Deploy(ctx, dstack.App{Name: "mero-app", Compose: json.RawMessage("{}")})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, "DELETE /api/cvms/app_aa", p.requests()[len(p.requests())-1])
}

func TestDeploySaysWhatItLeftBehind(t *testing.T) {
	t.Parallel()
	p := &provider{answers: deployable()}
	p.answers["GET /api/cvms/app_aa"] = `{"status":"starting"}`
	p.answers["GET /api/cvms/app_aa/state"] = `{"boot_error":"no capacity"}`
	p.answers["DELETE /api/cvms/app_aa"] = `500 {"detail":"try later"}`
	_, err := serve(t, p).Deploy(t.Context(), dstack.App{Name: "mero-app", Compose: json.RawMessage("{}")})
	require.ErrorContains(t, err, "left behind: CVM app_aa")
	require.ErrorContains(t, err, "try later")
}

func TestAddressComesFromTheProvider(t *testing.T) {
	t.Parallel()
	app := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(app.Close)
	for name, tc := range map[string]struct{ cvm, want string }{
		"listed endpoint": {
			`{"app_id":"aa","status":"running","endpoints":[{"app":"https://x-9.gw/"},{"app":"https://aa-8080.gw.example/"}]}`,
			"https://aa-8080.gw.example"},
		"gateway's domain": {`{"app_id":"app_aa","status":"running","gateway":{"base_domain":"gw.example"}}`,
			"https://aa-8080.gw.example"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &provider{answers: deployable()}
			p.answers["GET /api/cvms/app_aa"] = tc.cvm
			s := httptest.NewServer(p)
			t.Cleanup(s.Close)
			d, err := dstack.New(s.URL+"/api", "k", healthy{}).Deploy(t.Context(),
				dstack.App{Name: "mero-app", Compose: json.RawMessage("{}")})
			require.NoError(t, err)
			require.Equal(t, &dstack.Deployment{ID: "app_aa", AppID: "aa", URL: tc.want, ComposeHash: emptyHash}, d)
		})
	}
}

// healthy answers for applications itself: 200, unless the API key was sent along.
type healthy struct{}

func (healthy) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Hostname(), ".example") {
		return http.DefaultTransport.RoundTrip(r)
	}
	w := httptest.NewRecorder()
	if r.Header.Get("X-API-Key") != "" || r.URL.Path != "/health" {
		w.WriteHeader(http.StatusForbidden)
	}
	return w.Result(), nil
}

package dstack_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/dstack"
)

func mero() dstack.App { return dstack.App{Name: "mero-app", Compose: json.RawMessage("{}")} }

// A CVM that bears our name already is somebody's: nothing of it is asked for, started or deleted.
func TestDeployLeavesAnotherOfItsNameAlone(t *testing.T) {
	t.Parallel()
	p := &provider{answers: deployable()}
	p.answers["POST /api/cvms/provision"] = `409 {"detail":{"error_code":"ERR-01-004","message":"taken"}}`
	_, err := serve(t, p).Deploy(t.Context(), mero())
	require.ErrorContains(t, err, "taken")
	require.Equal(t, []string{"POST /api/cvms/provision"}, p.requests())
}

// sequence answers the launches of an application: provisioning gives the ids in their order.
type sequence struct {
	ids     []string
	creates map[string]string // answers to POST /cvms, by app id
	there   map[string]string // names of the CVMs that there are, by app id
	asked   []string
}

func (s *sequence) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		data, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body = string(data)
	}
	s.asked = append(s.asked, r.Method+" "+r.URL.Path)
	status, answer := 404, "{}"
	id, isCVM := strings.CutPrefix(r.URL.Path, "/cvms/app_")
	switch {
	case r.URL.Path == "/cvms/provision":
		status, answer = 200, `{"app_id":"`+s.ids[0]+
			`","compose_hash":"`+emptyHash+`"}`
		s.ids = s.ids[1:]
	case r.URL.Path == "/cvms":
		var q struct {
			AppID string `json:"app_id"`
		}
		if err := json.Unmarshal([]byte(body), &q); err != nil {
			return nil, err
		}
		status, answer = 200, s.creates[q.AppID]
		if code, rest, cut := strings.Cut(answer, " "); cut && code == "409" {
			status, answer = 409, rest
		}
		if answer == "" {
			return nil, errors.New("connection reset by peer")
		}
	case strings.HasSuffix(r.URL.Path, "/compose_file"):
		status = 200
	case isCVM && r.Method == http.MethodDelete:
		status = 204
	case isCVM && s.there[id] != "":
		status, answer = 200, `{"app_id":"`+id+`","name":"`+s.there[id]+`","gateway":{"base_domain":"gw.example"}}`
	case r.URL.Path == "/health":
		status = 200
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(answer)), Request: r}, nil
}

func (s *sequence) client() *dstack.Client {
	c := dstack.New("https://provider.example", "k", s)
	c.Wait = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	return c
}

// An app id that is given is not reserved: when another deployment took it, the next is asked for.
func TestDeployAsksAgainForATakenAppID(t *testing.T) {
	t.Parallel()
	const conflict = `409 {"detail":{"error_code":"ERR-03-007","message":"taken"}}`
	s := &sequence{ids: []string{"aa", "bb", "cc"}, there: map[string]string{"cc": "mero-app"},
		creates: map[string]string{"aa": conflict, "bb": `{"name":"of-another-run"}`, "cc": `{"name":"mero-app"}`}}
	app, announced := mero(), []string{}
	app.Announce = func(id string) error { announced = append(announced, id); return nil }
	d, err := s.client().Deploy(t.Context(), app)
	require.NoError(t, err)
	require.Equal(t, "cc", d.AppID)
	require.Equal(t, []string{"aa", "bb", "cc"}, announced)
	for _, asked := range s.asked {
		require.NotContains(t, asked, "DELETE")
	}

	s.ids = strings.Split(strings.Repeat("aa", 8), "")
	for i := range s.ids {
		s.ids[i] = "aa"
	}
	_, err = s.client().Deploy(t.Context(), mero())
	require.ErrorContains(t, err, "another deployment took each app id")
}

// What cannot be announced is not made.
func TestDeployNeedsItsAnnouncement(t *testing.T) {
	t.Parallel()
	s := &sequence{ids: []string{"aa"}}
	app := mero()
	app.Announce = func(string) error { return errors.New("disk full") }
	_, err := s.client().Deploy(t.Context(), app)
	require.ErrorContains(t, err, "disk full")
	require.Equal(t, []string{"POST /cvms/provision"}, s.asked)
}

// When it is not known whether the CVM was made, it is deleted if it is ours.
func TestDeployOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		there   map[string]string
		deletes bool
	}{
		"it is there":              {map[string]string{"aa": "mero-app"}, true},
		"it is not":                {nil, false},
		"somebody else has the id": {map[string]string{"aa": "an-operators"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &sequence{ids: []string{"aa"}, there: tc.there}
			_, err := s.client().Deploy(t.Context(), mero())
			require.ErrorContains(t, err, "reset by peer")
			if tc.deletes {
				require.Contains(t, s.asked, "DELETE /cvms/app_aa")
			} else {
				require.NotContains(t, s.asked, "DELETE /cvms/app_aa")
			}
		})
	}
}

func TestDeleteOwn(t *testing.T) {
	t.Parallel()
	s := &sequence{there: map[string]string{"aa": "mero-app"}}
	found, err := s.client().DeleteOwn(t.Context(), "app_aa", "another")
	require.NoError(t, err)
	require.False(t, found)
	found, err = s.client().DeleteOwn(t.Context(), "app_aa", "mero-app")
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, []string{"GET /cvms/app_aa", "GET /cvms/app_aa", "DELETE /cvms/app_aa"}, s.asked)
}

func TestRunsHaveNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	one, two := dstack.NewRun(), dstack.NewRun()
	require.NotEqual(t, one, two)
	require.Regexp(t, "^[a-z2-7]{8}$", one)
	longest := dstack.Name("mero-kms", "10.20.30-rc.10", "locked-read-only", one)
	require.LessOrEqual(t, len(longest), 63)
}

// updatable answers an update of aa to "{}", which is shown at the second question.
func updatable(t *testing.T, change map[string]string) (*dstack.Client, *provider) {
	t.Helper()
	const hash = emptyHash
	p := &provider{answers: map[string]string{
		"GET /api/cvms/app_aa/state":                   `{"status":"running","boot_error":"of last week"}`,
		"POST /api/cvms/app_aa/compose_file/provision": `{"app_id":"aa","device_id":null,"compose_hash":"` + hash + `"}`,
		"GET /api/cvms/app_aa/compose_file":            `{}`,
		"PATCH /api/cvms/app_aa/compose_file":          `202 `,
		"GET /api/cvms/app_aa": `{"app_id":"aa","compose_hash":"` + hash +
			`","progress":null,"gateway":{"base_domain":"gw.example"}}`,
	}}
	for request, answer := range change {
		p.answers[request] = answer
	}
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	c := dstack.New(s.URL+"/api", "k", healthy{})
	c.Wait = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	return c, p
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	c, p := updatable(t, nil)
	seen := 0
	p.on = func(request string) { // the old file first, then the change under way, then the new file
		if request == "GET /api/cvms/app_aa" {
			seen++
			p.mu.Lock()
			defer p.mu.Unlock()
			switch after := p.answers[request]; seen {
			case 1:
				p.answers[request] = strings.Replace(after, "44136fa3", "00000000", 1)
			case 2:
				p.answers[request] = strings.Replace(strings.Replace(after, "00000000", "44136fa3", 1), "null", `{"target":"x"}`, 1)
			case 3:
				p.answers[request] = strings.Replace(after, `{"target":"x"}`, "null", 1)
			}
		}
	}
	d, err := c.Update(t.Context(), "aa", mero())
	require.NoError(t, err)
	require.Equal(t, 3, seen)
	require.Equal(t, &dstack.Deployment{ID: "app_aa", AppID: "aa", URL: "https://aa-8080.gw.example",
		ComposeHash: emptyHash}, d)
}

func TestUpdateFails(t *testing.T) {
	t.Parallel()
	const offer, commit = "POST /api/cvms/app_aa/compose_file/provision", "PATCH /api/cvms/app_aa/compose_file"
	for name, tc := range map[string]struct {
		request, answer string
		want            string
		code            fault.Code
		commits         bool
	}{
		"another hash": {offer, `{"app_id":"aa","compose_hash":"bb"}`, "another app-compose", fault.Verification, false},
		"another application": {offer, `{"app_id":"bb","compose_hash":"bb"}`, "another application", fault.Verification,
			false},
		"nobody": {"GET /api/cvms/app_aa/state", `404 {"detail":"no such CVM"}`, "no such CVM", fault.General, false},
		"expired": {commit, `400 {"detail":{"error_code":"ERR-01-006","message":"expired"}}`, "expired", fault.General,
			true},
		"withdrawn": {"GET /api/cvms/app_aa", `401 {"detail":"no key"}`, "did not come back", fault.Usage, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, p := updatable(t, map[string]string{tc.request: tc.answer})
			_, err := c.Update(t.Context(), "aa", mero())
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, tc.code, fault.CodeOf(err))
			require.Equal(t, tc.commits, len(p.requests()) > 2)
			for _, request := range p.requests() {
				require.NotContains(t, request, "DELETE", "an application that was there stays")
			}
		})
	}
}

// A machine that cannot boot the new file says so; what it said before the update does not count.
func TestUpdateThatDoesNotBoot(t *testing.T) {
	t.Parallel()
	c, p := updatable(t, nil)
	p.on = func(request string) {
		if request == "PATCH /api/cvms/app_aa/compose_file" {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.answers["GET /api/cvms/app_aa/state"] = `{"status":"starting","boot_error":"failed to pull images"}`
		}
	}
	_, err := c.Update(t.Context(), "aa", mero())
	require.ErrorContains(t, err, "failed to pull images")
}

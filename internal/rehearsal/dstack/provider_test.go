package dstack_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/retry"
	client "github.com/calimero-network/mero-tee/internal/provider/dstack"
	"github.com/calimero-network/mero-tee/internal/provider/dstack/guest"
	"github.com/calimero-network/mero-tee/internal/rehearsal/dstack"
)

func TestWhatIsReleasedIsWhatRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir(), dstack.Faults{})
	app := w.app(t, "mero-kms-1-2-0-debug", nil)
	d, err := w.client.Deploy(t.Context(), app)
	require.NoError(t, err)
	sum := sha256.Sum256(app.Compose)
	require.Equal(t, hex.EncodeToString(sum[:]), d.ComposeHash)
	require.Len(t, d.AppID, 40)
	require.Equal(t, "https://"+d.AppID+"-8080.dstack.rehearsal.invalid", d.URL)

	var self struct {
		UID, GID, PID int
		Dir           string
		Env, Root     []string
	}
	w.ask(t, d.URL+"/self", &self)
	require.Equal(t, []int{65532, 65532}, []int{self.UID, self.GID})
	require.Equal(t, "/", self.Dir)
	require.Equal(t, []string{"app", "run", "var"}, self.Root, "its root holds the image and what the platform adds")
	proxy, err := w.network.Proxy()
	require.NoError(t, err)
	require.ElementsMatch(t, []string{
		"DSTACK_SOCKET_PATH=/var/run/dstack.sock", "NAME=mero-kms-1-2-0-debug", "TOKEN=a<b>&c", "LISTEN_FDS=1",
		"HTTP_PROXY=" + proxy.URL, "HTTPS_PROXY=" + proxy.URL, "SSL_CERT_FILE=/run/platform/ca.pem",
	}, self.Env, "nothing of the host's environment leaks")

	status, body := w.get(t, d.URL+"/fetch?url=https://github.com/releases/policy.json")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "github.com/releases/policy.json", body)
	status, body = w.get(t, d.URL+"/fetch?url=https://example.com/")
	require.Equal(t, http.StatusInternalServerError, status)
	require.Contains(t, body, "Forbidden")

	logs, err := w.client.Logs(t.Context(), d.ID, "mero-kms", 5)
	require.NoError(t, err)
	require.Contains(t, logs, "serving")

	require.NoError(t, w.client.Delete(t.Context(), d.ID))
	require.ErrorIs(t, syscall.Kill(self.PID, 0), syscall.ESRCH, "the process is gone when Delete returns")
	status, _ = w.get(t, d.URL+"/health")
	require.Equal(t, http.StatusNotFound, status)
	left, err := filepath.Glob(filepath.Join(w.state, "run-*", "*"))
	require.NoError(t, err)
	require.Empty(t, left)
	require.NoError(t, w.client.Delete(t.Context(), d.ID), "deleting twice is harmless")
}

func TestQuoteIsOfTheCVMsOwnTD(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir(), dstack.Faults{})
	d, err := w.client.Deploy(t.Context(), w.app(t, "quotes", nil))
	require.NoError(t, err)
	verifier, err := tdx.NewVerifier(tdx.Config{Root: w.pki.RootSHA256(),
		Collateral: tdx.NewCollateral(&http.Client{Transport: w.network.Transport()})})
	require.NoError(t, err)

	judge := func() []tdx.Event {
		var q guest.Quote
		w.ask(t, d.URL+"/quote", &q)
		verdict, err := verifier.Verify(t.Context(), q.Raw, [64]byte{1, 2, 3})
		require.NoError(t, err)
		platforms := dstack.Platforms()
		p, err := platforms.Chosen()
		require.NoError(t, err)
		want := tdx.Registers{MRTD: p.MRTD, RTMR0: p.RTMR0, RTMR1: p.RTMR1, RTMR2: p.RTMR2, RTMR3: verdict.Registers.RTMR3}
		require.Empty(t, want.Compare(verdict.Registers))
		log, err := tdx.ParseDstackLog(q.EventLog)
		require.NoError(t, err)
		events, err := tdx.DstackBoot(log, verdict.Registers)
		require.NoError(t, err)
		return events
	}
	events := judge()
	require.Equal(t, d.AppID, payload(t, events, "app-id"))
	require.Equal(t, d.ComposeHash, payload(t, events, "compose-hash"))

	var emitted string
	w.ask(t, d.URL+"/emit", &emitted)
	require.Equal(t, events, judge(), "an application's own event moves RTMR3 and is not trusted")

	var info guest.Info
	w.ask(t, d.URL+"/info", &info)
	require.Equal(t, guest.Info{AppID: d.AppID, InstanceID: payload(t, events, "instance-id"),
		ComposeHash: d.ComposeHash}, info)
}

// payload is that of the one event of a name, in hex.
func payload(t *testing.T, events []tdx.Event, name string) string {
	t.Helper()
	e, err := tdx.Named(events, name)
	require.NoError(t, err)
	return hex.EncodeToString(e.Payload)
}

// Each deployment gets an app id that nobody could know before, also of the same
// application and in a later process; so keys do not outlive a deployment.
func TestAppIDIsNewForEachDeployment(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	seen := map[string]bool{}
	for range 2 {
		w := newWorld(t, state, dstack.Faults{})
		app := w.app(t, "app-one", nil)
		for range 2 {
			d, err := w.client.Deploy(t.Context(), app)
			require.NoError(t, err)
			var k string
			w.ask(t, d.URL+"/key?path=merod/storage/p", &k)
			require.Len(t, k, 64)
			seen[d.AppID], seen[k] = true, true
			require.NoError(t, w.client.Delete(t.Context(), d.ID))
		}
		require.NoError(t, w.provider.Close())
	}
	require.Len(t, seen, 8, "four app ids, four keys")
}

// An id is given again until an application is created under it.
func TestAppIDIsNotReserved(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir(), dstack.Faults{})
	ctx := t.Context()
	first, err := w.client.Provision(ctx, w.app(t, "app-one", nil))
	require.NoError(t, err)
	second, err := w.client.Provision(ctx, w.app(t, "app-two", nil))
	require.NoError(t, err)
	require.Equal(t, first.AppID, second.AppID)
	require.NotEqual(t, first.ComposeHash, second.ComposeHash)
	for range 2 {
		cvm, err := w.client.Create(ctx, first)
		require.NoError(t, err, "asked twice it answers the one there is")
		require.Equal(t, "app-one", cvm.Name)
	}
	_, err = w.client.Create(ctx, second)
	require.ErrorContains(t, err, "ERR-03-007")
	d, err := w.client.Deploy(ctx, w.app(t, "app-two", nil))
	require.NoError(t, err)
	require.NotEqual(t, first.AppID, d.AppID)
}

// An update in place changes the compose hash, and nothing else: the app id, the
// instance and the keys stay.
func TestUpdateInPlaceKeepsAppIDAndKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir(), dstack.Faults{Lag: 2, Cold: 1})
	ctx := t.Context()
	before, err := w.client.Deploy(ctx, w.app(t, "in-place", nil))
	require.NoError(t, err)
	self := func() (env []string, key string, info guest.Info) {
		var s struct{ Env []string }
		w.ask(t, before.URL+"/self", &s)
		w.ask(t, before.URL+"/key?path=merod/storage/p", &key)
		w.ask(t, before.URL+"/info", &info)
		return s.Env, key, info
	}
	_, key, was := self()
	changed := w.app(t, "in-place", func(s map[string]any) {
		s["environment"] = map[string]string{"DSTACK_SOCKET_PATH": "/var/run/dstack.sock", "POLICY": "new"}
	})
	after, err := w.client.Update(ctx, before.AppID, changed)
	require.NoError(t, err)
	require.Equal(t, []string{before.ID, before.URL}, []string{after.ID, after.URL})
	require.NotEqual(t, before.ComposeHash, after.ComposeHash)
	env, same, is := self()
	require.Contains(t, env, "POLICY=new")
	require.Equal(t, key, same)
	require.Equal(t, guest.Info{AppID: was.AppID, InstanceID: was.InstanceID, ComposeHash: after.ComposeHash}, is)

	var quote guest.Quote
	w.ask(t, after.URL+"/quote", &quote)
	log, err := tdx.ParseDstackLog(quote.EventLog)
	require.NoError(t, err)
	measured := map[string]string{}
	for _, e := range log {
		measured[e.Name] = hex.EncodeToString(e.Payload)
	}
	require.Equal(t, after.AppID, measured["app-id"])
	require.Equal(t, after.ComposeHash, measured["compose-hash"])
}

func TestUpdateInPlaceIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir(), dstack.Faults{})
	ctx := t.Context()
	app := w.app(t, "in-place", nil)
	d, err := w.client.Deploy(ctx, app)
	require.NoError(t, err)
	tagged := w.app(t, "in-place", func(s map[string]any) { s["image"] = "ghcr.io/calimero-network/test:1" })
	_, err = w.client.Update(ctx, d.AppID, tagged)
	require.ErrorContains(t, err, "not pinned by digest")
	_, err = w.client.Update(ctx, strings.Repeat("0", 40), app)
	require.ErrorContains(t, err, "ERR-03-001")
	status, answer := w.send(t, http.MethodPatch, "/cvms/"+d.ID+"/compose_file", `{"compose_hash":"00"}`)
	require.Equal(t, http.StatusBadRequest, status)
	require.Contains(t, answer, "ERR-01-006")
	missing := w.app(t, "in-place", func(s map[string]any) {
		s["image"] = "ghcr.io/calimero-network/test@sha256:" + strings.Repeat("00", 32)
	})
	_, err = w.client.Update(ctx, d.AppID, missing)
	require.ErrorContains(t, err, "did not boot")
	_, err = w.client.Update(ctx, d.AppID, app)
	require.NoError(t, err, "and what ran before runs again")
}

// A program that does not say who it is gets no further than the edge.
func TestEdgeRefusesUnnamedPrograms(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir(), dstack.Faults{})
	for _, agent := range []string{"", "Go-http-client/1.1"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, apiBase+"/cvms/nobody", nil)
		require.NoError(t, err)
		req.Header.Set("User-Agent", agent)
		req.Header.Set("X-API-Key", apiKey)
		resp, err := (&http.Client{Transport: w.network.Transport()}).Do(req)
		require.NoError(t, err)
		require.Equal(t, http.StatusForbidden, resp.StatusCode)
		require.NoError(t, resp.Body.Close())
	}
}

func TestSeedIsRefused(t *testing.T) {
	t.Parallel()
	_, err := dstack.New(dstack.Options{State: t.TempDir(), Seed: make([]byte, 31)})
	require.ErrorContains(t, err, "31 bytes, not 32")
}

func TestQuirksOfTheProvider(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string]dstack.Faults{
		"not visible at first": {Hidden: 3}, "created but not started": {NotStarted: true}, "slow health": {Cold: 3},
		"asked too often": {Busy: 2}, "connections that are reset": {Resets: 3},
		"all at once": {Hidden: 2, NotStarted: true, Cold: 2, Quota: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, t.TempDir(), faults)
			w.client.Wait = func(ctx context.Context, d time.Duration) error {
				return retry.For(ctx, min(d, 10*time.Millisecond))
			}
			d, err := w.client.Deploy(t.Context(), w.app(t, "quirks", nil))
			require.NoError(t, err)
			status, body := w.get(t, d.URL+"/health")
			require.Equal(t, http.StatusOK, status, body)
		})
	}
}

// The newest image boots when none is named, and shows other registers than any that is known.
func TestOSImageIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir(), dstack.Faults{})
	ctx := t.Context()
	known := dstack.Platforms()
	seen := map[tdx.Register]bool{}
	for image, name := range map[string]string{"": "newest", "dstack-0.5.9": "named-nine", "dstack-0.5.8": "named-eight"} {
		app := w.app(t, name, nil)
		app.Image = image
		d, err := w.client.Deploy(ctx, app)
		require.NoError(t, err)
		var q guest.Quote
		w.ask(t, d.URL+"/quote", &q)
		parsed, err := tdx.ParseQuote(q.Raw)
		require.NoError(t, err)
		r := parsed.Registers
		seen[r.RTMR1], seen[r.RTMR2] = true, true
		p, err := known.Named(image)
		if image == "" {
			require.ErrorContains(t, err, "no measurements of the OS image")
			continue
		}
		require.NoError(t, err)
		require.Equal(t, []tdx.Register{p.MRTD, p.RTMR0, p.RTMR1, p.RTMR2}, []tdx.Register{r.MRTD, r.RTMR0, r.RTMR1, r.RTMR2})
	}
	require.Len(t, seen, 6)

	app := w.app(t, "unknown", nil)
	app.Image = "dstack-9.9.9"
	_, err := w.client.Deploy(ctx, app)
	require.Equal(t, fault.Usage, fault.CodeOf(err))
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Equal(t, "one of dstack-0.5.11, dstack-0.5.9, dstack-0.5.8", f.Expected)

	app.Image, app.OSImageHash = "dstack-0.5.8", digest.Digest{1}
	_, err = w.client.Deploy(ctx, app)
	require.ErrorContains(t, err, "another OS image than dstack-0.5.8")
	require.Equal(t, fault.Verification, fault.CodeOf(err))
}

// Whatever bears our name already is somebody's, and stays as it was.
func TestDeployLeavesAnOperatorsApplicationAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir(), dstack.Faults{})
	theirs, err := w.client.Deploy(t.Context(), w.app(t, "the-same-name", nil))
	require.NoError(t, err)
	_, err = w.client.Deploy(t.Context(),
		w.app(t, "the-same-name", func(s map[string]any) { s["restart"] = "always" }))
	require.ErrorContains(t, err, "a CVM named the-same-name exists")
	status, body := w.get(t, theirs.URL+"/health")
	require.Equal(t, http.StatusOK, status, body)
}

func TestDeployFails(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		faults dstack.Faults
		app    string
		edit   func(map[string]any)
		code   fault.Code
		want   string // in the error's words or in what was found
	}{
		"dot in the name": {app: "mero-kms-1.2.0", code: fault.Usage, want: "refuse the name"},
		"process ends": {edit: func(s map[string]any) { s["command"] = []string{"--bad"} }, code: fault.General,
			want: "asked to fail: [--bad]"},
		"image missing": {edit: func(s map[string]any) {
			s["image"] = "ghcr.io/calimero-network/test@sha256:" + strings.Repeat("00", 32)
		}, code: fault.General, want: "did not boot"},
		"image by tag": {edit: func(s map[string]any) { s["image"] = "ghcr.io/calimero-network/test:1" },
			code: fault.Usage, want: "not pinned by digest"},
		"a user with a name": {edit: func(s map[string]any) { s["user"] = "nobody" }, code: fault.General,
			want: "not numeric"},
		"relative entrypoint": {edit: func(s map[string]any) { s["entrypoint"] = []string{"app"} }, code: fault.General,
			want: "not an absolute path"},
		"host folder": {edit: func(s map[string]any) { s["volumes"] = []string{"/etc:/etc"} }, code: fault.Usage,
			want: "has only /var/run/dstack.sock"},
		"host environment": {edit: func(s map[string]any) { s["environment"] = []string{"HOME"} }, code: fault.Usage,
			want: "HOME has no value"},
		"two ports": {edit: func(s map[string]any) { s["ports"] = []string{"1:1", "2:2"} }, code: fault.Usage,
			want: "exactly one published port"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, t.TempDir(), tc.faults)
			if tc.app == "" {
				tc.app = "failing"
			}
			app := w.app(t, "failing", tc.edit)
			app.Name = tc.app
			_, err := w.client.Deploy(t.Context(), app)
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, tc.code, fault.CodeOf(err))
			_, err = w.client.Get(t.Context(), "failing")
			require.ErrorContains(t, err, "404", "nothing stays behind")
		})
	}
}

// What the API adds to an app-compose file is shown, field by field, with all the hashes.
func TestWhatTheAPIAddsIsShown(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		faults dstack.Faults
		lacks  []string
		want   string
	}{
		"a field of a later API": {dstack.Faults{Added: map[string]any{"later_field": true}}, nil, "added later_field"},
		"four fields that were left out": {dstack.Faults{},
			[]string{"features", "pre_launch_script", "storage_fs", "tproxy_enabled"},
			"added features, pre_launch_script, storage_fs, tproxy_enabled"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, t.TempDir(), tc.faults)
			app := w.app(t, "altered", nil)
			var fields map[string]any
			require.NoError(t, json.Unmarshal(app.Compose, &fields))
			for _, field := range tc.lacks {
				delete(fields, field)
			}
			app.Compose = marshal(t, fields)
			sum := sha256.Sum256(app.Compose)
			_, err := w.client.Deploy(t.Context(), app)
			require.Equal(t, fault.Verification, fault.CodeOf(err))
			var f *fault.Error
			require.ErrorAs(t, err, &f)
			require.Contains(t, f.Expected, hex.EncodeToString(sum[:]))
			require.Contains(t, f.Got, tc.want)
			hashes := regexp.MustCompile("[0-9a-f]{64}").FindAllString(f.Got, -1)
			require.Len(t, hashes, 3, "the provider's, the measured one, and that of the stored file")
			require.Equal(t, []string{hashes[0], hashes[0]}, hashes[1:])
			_, err = w.client.Get(t.Context(), "altered")
			require.ErrorContains(t, err, "404", "nothing stays behind")
		})
	}
}

// The shell that starts the containers sources the script, so they never start.
func TestPreLaunchScriptThatLeavesNeverBoots(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir(), dstack.Faults{})
	app := w.app(t, "leaving", nil)
	var fields map[string]any
	require.NoError(t, json.Unmarshal(app.Compose, &fields))
	fields["pre_launch_script"] = "#!/bin/bash\nexit 0\n"
	app.Compose = marshal(t, fields)
	_, err := w.client.Deploy(t.Context(), app)
	require.ErrorContains(t, err, "ended the shell that starts the containers")
}

func TestAPIRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir(), dstack.Faults{Quota: 1})
	ctx := t.Context()
	_, err := client.New(apiBase, "another-key", w.network.Transport()).Get(ctx, "app_00")
	require.ErrorContains(t, err, "401")
	require.Equal(t, fault.Usage, fault.CodeOf(err))
	require.NotContains(t, err.Error(), "another-key")

	d, err := w.client.Deploy(ctx, w.app(t, "first", nil))
	require.NoError(t, err)
	_, err = w.client.Deploy(ctx, w.app(t, "second", nil))
	require.ErrorContains(t, err, "quota of 1")
	_, err = w.client.Provision(ctx, w.app(t, "first", nil))
	require.ErrorContains(t, err, "a CVM named first exists")
	require.NoError(t, w.client.Start(ctx, d.ID), "starting what runs is harmless")
	_, err = w.client.Create(ctx, &client.Provisioned{AppID: strings.Repeat("0", 40), ComposeHash: d.ComposeHash})
	require.ErrorContains(t, err, "404", "only what was provisioned is created")
	status, answer := w.send(t, http.MethodPost, "/cvms/provision", `{"name":"no--good","compose_file":{}}`)
	require.Equal(t, http.StatusUnprocessableEntity, status)
	require.Contains(t, answer, `["body","name"]`)
	status, answer = w.send(t, http.MethodPost, "/cvms/provision", `{"name":"in-base","kms":"BASE","compose_file":{}}`)
	require.Equal(t, http.StatusBadRequest, status)
	require.Contains(t, answer, "ERR-02-011")
	require.ErrorContains(t, w.client.Start(ctx, "app_unknown"), "404")
	for url, want := range map[string]string{
		"https://0000-8080." + dstack.Domain: "no such app", "https://x." + dstack.Domain: "no such app",
		"https://" + d.AppID + "-9999." + dstack.Domain:       "no such port",
		"https://" + d.AppID + "-8090." + dstack.Domain + "/": "no such container",
	} {
		status, body := w.get(t, url)
		require.Equal(t, http.StatusNotFound, status)
		require.Contains(t, body, want)
	}
}

// A crash is not hidden: the gateway refuses, the API says so, and the log keeps the reason.
func TestCrash(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir(), dstack.Faults{})
	d, err := w.client.Deploy(t.Context(), w.app(t, "crashing", nil))
	require.NoError(t, err)
	status, _ := w.get(t, d.URL+"/crash")
	require.Equal(t, http.StatusBadGateway, status)
	require.NoError(t, w.provider.Close())
	log, err := os.ReadFile(filepath.Join(w.state, "logs", "crashing.log"))
	require.NoError(t, err)
	require.Contains(t, string(log), "asked to crash")
	require.Contains(t, string(log), "platform: exited: exit status 1")
}

func TestImageConfiguration(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir(), dstack.Faults{})
	w.image = w.push(t, v1.Config{Entrypoint: []string{"/app"}, Env: []string{"FROM_IMAGE=1"}, WorkingDir: "/run",
		User: "7"})
	d, err := w.client.Deploy(t.Context(), w.app(t, "configured", nil))
	require.NoError(t, err)
	var self struct {
		UID, GID int
		Dir      string
		Env      []string
	}
	w.ask(t, d.URL+"/self", &self)
	require.Equal(t, []int{7, 0}, []int{self.UID, self.GID})
	require.Equal(t, "/run", self.Dir)
	require.Contains(t, self.Env, "FROM_IMAGE=1")
}

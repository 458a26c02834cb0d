package dstack

import (
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

// booted is a CVM whose system runs, and whose application does not.
func booted(t *testing.T, compose string, options ...tdxsim.LogOption) (*cvm, error) {
	t.Helper()
	pki, err := tdxsim.NewPKI([]byte("event logs"))
	require.NoError(t, err)
	machine, err := pki.NewPlatform(0)
	require.NoError(t, err)
	c := &cvm{id: strings.Repeat("a1", 20), instanceID: strings.Repeat("1d", 20), instanceType: shape, image: images()[0],
		options: &Options{EventLog: options}}
	file, err := object(json.RawMessage(compose))
	require.NoError(t, err)
	c.app.compose, err = deterministic(file)
	require.NoError(t, err)
	c.app.hash = sha256.Sum256(c.app.compose)
	return c, c.boot(machine, strings.Repeat("ab", 32))
}

// ask posts to the guest agent of a CVM.
func ask(t *testing.T, c *cvm, method, body string) map[string]string {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/"+method, strings.NewReader(body))
	c.agent().ServeHTTP(w, r)
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	answer := map[string]string{}
	if w.Body.Len() > 0 {
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
	}
	return answer
}

// line is one event as the log has it; a field that is absent is nil.
type line struct {
	IMR      int     `json:"imr"`
	Type     uint32  `json:"event_type"`
	Digest   *string `json:"digest"`
	Name     string  `json:"event"`
	Payload  *string `json:"event_payload"`
	Version  *int    `json:"version"`
	Preimage *string `json:"preimage"`
}

// lines are the log that comes with a quote. The log must replay to the CVM's registers.
func lines(t *testing.T, c *cvm) (out []line) {
	t.Helper()
	log := ask(t, c, "GetQuote", `{"report_data":"00"}`)["event_log"]
	require.NoError(t, json.Unmarshal([]byte(log), &out))
	events, err := tdx.ParseDstackLog([]byte(log))
	require.NoError(t, err)
	_, err = tdx.DstackBoot(events, c.td.Registers())
	require.NoError(t, err)
	return out
}

func TestEventLogIsStripped(t *testing.T) {
	t.Parallel()
	c, err := booted(t, `{}`)
	require.NoError(t, err)
	for _, l := range lines(t, c) {
		require.NotNil(t, l.Digest)
		require.NotNil(t, l.Payload)
		require.Nil(t, l.Version, "version 1 is not written")
		require.Nil(t, l.Preimage)
		require.Equal(t, l.IMR == 3, *l.Digest == "", "only a runtime event has no digest: %s", l.Name)
		if l.IMR < 3 {
			require.Empty(t, *l.Payload, "a boot event has no payload")
		}
	}
}

func TestEventLogOfOlderSystems(t *testing.T) {
	t.Parallel()
	c, err := booted(t, `{}`, tdxsim.Unstripped)
	require.NoError(t, err)
	for _, l := range lines(t, c) {
		require.Len(t, *l.Digest, 96)
		require.True(t, *l.Payload != "" || l.IMR == 3, "a boot event has its payload")
	}
}

func TestEventLogVersion2(t *testing.T) {
	t.Parallel()
	c, err := booted(t, `{"event_log_version":2}`)
	require.NoError(t, err)
	old, err := booted(t, `{"event_log_version":1}`)
	require.NoError(t, err)
	require.NotEqual(t, old.td.Registers().RTMR3, c.td.Registers().RTMR3)
	for _, l := range lines(t, c) {
		if l.IMR < 3 {
			require.Nil(t, l.Version)
			require.Nil(t, l.Preimage)
			continue
		}
		require.Equal(t, 2, *l.Version)
		require.Empty(t, *l.Digest)
		require.NotEmpty(t, *l.Preimage)
	}
}

func TestUnknownEventLogVersionDoesNotBoot(t *testing.T) {
	t.Parallel()
	_, err := booted(t, `{"event_log_version":3}`)
	require.ErrorContains(t, err, "unknown event log version: 3")
}

func TestTenSystemEvents(t *testing.T) {
	t.Parallel()
	c, err := booted(t, `{"name":"x"}`)
	require.NoError(t, err)
	var names []string
	payloads := map[string]string{}
	for _, l := range lines(t, c) {
		if l.IMR == 3 {
			names = append(names, l.Name)
			payloads[l.Name] = *l.Payload
		}
	}
	require.Equal(t, []string{"system-preparing", "app-id", "compose-hash", "instance-id", "boot-mr-done", "mr-kms",
		"mr-kms", "os-image-hash", "key-provider", "storage-fs", "system-ready"}, names)
	for _, empty := range []string{"system-preparing", "boot-mr-done", "system-ready"} {
		require.Empty(t, payloads[empty])
	}
	info := ask(t, c, "Info", `{}`)
	require.Equal(t, []string{info["app_id"], info["compose_hash"], info["instance_id"], info["os_image_hash"]},
		[]string{payloads["app-id"], payloads["compose-hash"], payloads["instance-id"], payloads["os-image-hash"]})
}

// Whatever the application emits comes behind system-ready and moves RTMR3.
func TestApplicationsEventsComeLast(t *testing.T) {
	t.Parallel()
	c, err := booted(t, `{}`)
	require.NoError(t, err)
	before := c.td.Registers()
	ask(t, c, "EmitEvent", `{"event":"mine","payload":"00"}`)
	require.NotEqual(t, before.RTMR3, c.td.Registers().RTMR3)
	log := lines(t, c)
	require.Equal(t, "system-ready", log[len(log)-2].Name)
	require.Equal(t, "mine", log[len(log)-1].Name)
	require.Empty(t, *log[len(log)-1].Digest)
}

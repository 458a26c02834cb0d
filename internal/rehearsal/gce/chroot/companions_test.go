package chroot_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/gobuild"
	"github.com/calimero-network/mero-tee/internal/base/hang"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/provider/gce/guestattr"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/chroot"
)

const roles = "../../../../ansible/roles/"

// nodeUnits are the image's own, of profile debug.
func nodeUnits(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	expression := regexp.MustCompile(`\{\{.*?\}\}`)
	for _, name := range []string{"agent/templates/mero-measure.service.j2", "agent/templates/mero-agent.service.j2",
		"companions/files/root/etc/systemd/system/merod-init.service",
		"companions/files/root/etc/systemd/system/merod.service",
		"companions/files/root/etc/systemd/system/traefik.service"} {
		text, err := os.ReadFile(roles + name)
		require.NoError(t, err)
		unit := strings.ReplaceAll(string(text), "{{ image_profile }}", "debug")
		out[strings.TrimSuffix(filepath.Base(name), ".j2")] = expression.ReplaceAllString(unit, "")
	}
	return out
}

// nodeFolder is a root file system with the real agent and the companions' stand-in.
func nodeFolder(t *testing.T) string {
	t.Helper()
	folder := newDisk(t, nodeUnits(t))
	root, err := filepath.Abs("../../../..")
	require.NoError(t, err)
	for pkg, names := range map[string][]string{"./ansible/roles/agent/files/mero-agent": {"mero-agent"},
		"./internal/rehearsal/companion/standin": {"merod", "traefik"}} {
		built, err := gobuild.Compile(t.Context(), gobuild.Program{Module: root, Package: pkg, Name: "x", GOARCH: "amd64",
			OutDir: t.TempDir()})
		require.NoError(t, err)
		for _, name := range names {
			run(t, "cp", built, filepath.Join(folder, "usr/lib/mero", name))
		}
	}
	require.NoError(t, os.CopyFS(filepath.Join(folder, "etc/traefik"),
		os.DirFS(roles+"companions/files/root/etc/traefik")))
	return folder
}

// askedForHealth is the metadata server of a node that is asked for its health, until it has reported.
type askedForHealth struct {
	mu      sync.Mutex
	entries []guestattr.Entry
	done    chan struct{}
}

func (a *askedForHealth) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const instance = "/computeMetadata/v1/instance/"
	key, report := strings.CutPrefix(r.URL.Path, instance+"guest-attributes/mero/")
	switch {
	case report && r.Method == http.MethodPut:
		value, _ := io.ReadAll(r.Body)
		a.mu.Lock()
		defer a.mu.Unlock()
		a.entries = append(a.entries, guestattr.Entry{Key: key, Value: string(value)})
		if key == guestattr.ReportName {
			close(a.done)
		}
	case r.URL.Path == instance+"attributes/"+agent.HealthAttribute:
		_, _ = io.WriteString(w, "true")
	default:
		http.NotFound(w, r)
	}
}

// The image's own units, with stand-ins for merod and traefik alone: the node
// measures, makes merod's home, starts what it is for, and its agent finds merod
// alive through traefik.
func TestTheNodeRuns(t *testing.T) {
	t.Parallel()
	h := newHost(t, chroot.Faults{})
	server := &askedForHealth{done: make(chan struct{})}
	listening := httptest.NewServer(server)
	t.Cleanup(listening.Close)
	s := newSerial()
	m, err := h.Boot(t.Context(), chroot.Spec{Name: "node", Disk: seal(t, nodeFolder(t), []string{debug}),
		Confidential: true, Serial: s, Address: "127.4.2.1", Metadata: listening.Listener.Addr().String()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Stop()) })
	select {
	case <-server.done:
	case <-time.After(hang.Limit(t)):
		t.Fatalf("no report:\n%s", s)
	}
	server.mu.Lock()
	defer server.mu.Unlock()
	data, err := guestattr.Decode(guestattr.ReportName, server.entries)
	require.NoError(t, err)
	r, err := agent.DecodeReport(data)
	require.NoError(t, err)
	require.Empty(t, r.Error)
	require.NoError(t, r.Health.Err(), "%s", s)
	quote, err := tdx.ParseQuote(r.Quote)
	require.NoError(t, err)
	require.Equal(t, tdx.ProfileRTMR3("debug"), quote.Registers.RTMR3)
	for _, want := range []string{"[  OK  ] Finished mero-measure.service.", "[  OK  ] Finished merod-init.service.",
		"[  OK  ] Started merod.service.", "[  OK  ] Started traefik.service."} {
		require.Contains(t, s.String(), want)
	}
}

package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/node/clientconfig"
	"github.com/calimero-network/mero-tee/internal/rehearsal/companion"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/chroot/systemd"
)

// TestMain lets this program stand in for merod where it is called by that name.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "merod" {
		os.Exit(companion.Main(context.Background(), companion.Process{Args: os.Args, Getenv: os.Getenv, Stderr: os.Stderr}))
	}
	os.Exit(m.Run())
}

// home is a merod's, initialised as the unit does it, and the command of the unit's that configures it.
func home(t *testing.T) (dir string, configure []string) {
	t.Helper()
	text, err := os.ReadFile("../../../companions/files/root/etc/systemd/system/merod-init.service")
	require.NoError(t, err)
	unit, err := systemd.Parse("merod-init.service", text)
	require.NoError(t, err)
	dir = t.TempDir()
	self, err := os.Executable()
	require.NoError(t, err)
	program := filepath.Join(dir, "merod")
	require.NoError(t, os.Symlink(self, program))
	for _, command := range unit.Commands {
		for i := range command {
			command[i] = strings.ReplaceAll(command[i], "/var/lib/merod", filepath.Join(dir, "home"))
			command[i] = strings.ReplaceAll(command[i], "/usr/lib/mero/merod", program)
		}
	}
	var said bytes.Buffer
	require.Zero(t, companion.Main(t.Context(), companion.Process{Args: unit.Commands[0], Getenv: nothing,
		Stderr: &said}), said.String())
	return filepath.Join(dir, "home/node/config.toml"), unit.Commands[1][1:]
}

// configured runs the unit's command in a VM with the instance attribute, and gives its exit code.
func configured(t *testing.T, args []string, attribute string) (int, string) {
	t.Helper()
	h := httptest.NewServer(&metadataServer{attributes: map[string]string{agent.ConfigAttribute: attribute}})
	t.Cleanup(h.Close)
	var said bytes.Buffer
	code := run(t.Context(), args, func(name string) string {
		return map[string]string{"GCE_METADATA_HOST": h.Listener.Addr().String()}[name]
	}, io.Discard, &said)
	return code, said.String()
}

func client(t *testing.T, rtmr3 ...tdx.Register) string {
	t.Helper()
	c, err := clientconfig.New("https://kms.example", measurement.Profile{MRTD: tdx.Register{1}, RTMR0: tdx.Register{2},
		RTMR1: tdx.Register{3}, RTMR2: tdx.Register{4}, Image: measurement.Image{ComposeHash: digest.Digest{5}}},
		[]string{"UpToDate"})
	require.NoError(t, err)
	c.Attestation.AllowedRTMR3 = append(c.Attestation.AllowedRTMR3, rtmr3...)
	return string(c.TOML())
}

func TestMerodIsToldItsKeyService(t *testing.T) {
	t.Parallel()
	file, args := home(t)
	before, err := os.ReadFile(file)
	require.NoError(t, err)
	code, said := configured(t, args, "")
	require.Zero(t, code, said)
	requireSame(t, file, before, "no key service, no section")

	for name, tc := range map[string]struct {
		attribute, want string
		code            fault.Code
	}{
		"no configuration": {"x", "not a client configuration", fault.Usage},
		"one that pins less": {"[tee.kms.phala]\nurl = \"https://kms.example\"\n", "client configuration: attestation",
			fault.Usage},
		"one that merod takes not": {client(t), "allowed_rtmr3 is empty", fault.General},
	} {
		code, said := configured(t, args, tc.attribute)
		require.Equal(t, int(tc.code), code, name)
		require.Contains(t, said, tc.want, name)
		requireSame(t, file, before, name)
	}
	code, said = configured(t, args, client(t, tdx.Register{6}))
	require.Zero(t, code, said)
	after, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(after), `url = "https://kms.example"`)
	require.Contains(t, string(after), "allowed_compose_hashes")
}

func requireSame(t *testing.T, file string, before []byte, why string) {
	t.Helper()
	now, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(before), string(now), why)
}

func TestFlagsOfConfigure(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-configure=merod"}, {"-merod-home=/h", "-merod-node=n"},
		{"-configure=merod", "-merod-home=/h", "-merod-node=n", "-profile=debug"}} {
		require.Equal(t, int(fault.Usage), run(t.Context(), args, nothing, io.Discard, io.Discard), "%v", args)
	}
}

// The node's port 80 is this machine's, or where the platform says.
func TestHealthOfThisNode(t *testing.T) {
	t.Parallel()
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Host+r.URL.Path)
	}))
	t.Cleanup(h.Close)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, agent.HealthURL, nil)
	require.NoError(t, err)
	resp, err := ownPorts(h.Listener.Addr().String()).RoundTrip(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1/admin-api/health", string(body))
}

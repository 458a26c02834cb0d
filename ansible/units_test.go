package ansible_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/hang"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/rehearsal/companion"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/chroot/systemd"
)

// waiting are the texts of the units that wait for the measurement, by their names.
func waiting(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, role := range []string{"companions", "telemetry"} {
		files, err := filepath.Glob(filepath.Join("roles", role, "files/root/etc/systemd/system/*.service"))
		require.NoError(t, err)
		for _, name := range files {
			text, err := os.ReadFile(name)
			require.NoError(t, err)
			out[filepath.Base(name)] = string(text)
		}
	}
	text, err := os.ReadFile("roles/agent/templates/mero-agent.service.j2")
	require.NoError(t, err)
	out["mero-agent.service"] = regexp.MustCompile(`\{\{.*?\}\}`).ReplaceAllString(string(text), "x")
	require.Len(t, out, 7, "merod-init, merod, traefik, node_exporter, vector, vmagent and mero-agent")
	return out
}

func parsed(t *testing.T, name string) *systemd.Service {
	t.Helper()
	s, err := systemd.Parse(name, []byte(waiting(t)[name]))
	require.NoError(t, err)
	return s
}

// Nothing acts before the profile is measured, and nothing asks the network before there is one.
func TestUnitsWaitForMeasurementAndNetwork(t *testing.T) {
	t.Parallel()
	for name, text := range waiting(t) {
		s, err := systemd.Parse(name, []byte(text))
		require.NoError(t, err)
		require.Contains(t, s.Requires, "mero-measure.service", name)
		require.Subset(t, s.After, []string{"mero-measure.service", "network-online.target"}, name)
		require.Regexp(t, `(?m)^Wants=network-online\.target$`, text, name)
		require.False(t, s.Early, name)
	}
	merod := parsed(t, "merod.service")
	require.Contains(t, merod.Requires, "merod-init.service")
	require.Contains(t, merod.After, "merod-init.service")
	require.Subset(t, parsed(t, "mero-agent.service").After, []string{"merod.service", "traefik.service"},
		"the agent may be asked for their health")
}

// confined are settings of every unit. A core would bring keys from memory to a disk, were there one.
var confined = []string{"LimitCORE=0", "NoNewPrivileges=yes", "PrivateTmp=yes", "ProtectHome=yes",
	"ProtectSystem=strict", "RestrictNamespaces=yes", "RestrictSUIDSGID=yes", "SystemCallArchitectures=native"}

// withoutRoot are those of every unit but the agent's, which is root to make its quotes.
var withoutRoot = []string{"DynamicUser=yes", "LockPersonality=yes", "ProtectClock=yes", "ProtectControlGroups=yes",
	"ProtectHostname=yes", "ProtectKernelLogs=yes", "ProtectKernelModules=yes", "ProtectKernelTunables=yes",
	"RestrictRealtime=yes", "SystemCallFilter=@system-service"}

// capabilities are what a unit may have beyond nothing.
var capabilities = map[string]string{"merod.service": "CAP_DAC_OVERRIDE", "traefik.service": "CAP_NET_BIND_SERVICE"}

func TestUnitsAreConfined(t *testing.T) {
	t.Parallel()
	for name, text := range waiting(t) {
		lines := strings.Split(text, "\n")
		require.Subset(t, lines, confined, name)
		require.True(t, slices.ContainsFunc(lines, func(l string) bool {
			return strings.HasPrefix(l, "RestrictAddressFamilies=")
		}), name)
		if name == "mero-agent.service" {
			continue
		}
		require.Subset(t, lines, append(withoutRoot, "CapabilityBoundingSet="+capabilities[name]), name)
		for _, l := range lines { // no folder of a service is anywhere but in /var/lib, /tmp and /run, which are in memory
			require.NotRegexp(t, `^(CacheDirectory|LogsDirectory|ConfigurationDirectory)=`, l, name)
		}
	}
	units := waiting(t)
	merod := strings.Split(units["merod.service"], "\n")
	require.Contains(t, merod, "RestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK",
		"its capability opens root's sockets")
	require.Subset(t, merod, []string{"PrivateDevices=yes", "BindPaths=-/dev/tdx_guest",
		"ReadOnlyPaths=/run -/sys/bus -/sys/devices -/sys/firmware -/sys/fs -/sys/fs/cgroup -/sys/kernel " +
			"-/sys/kernel/config -/sys/module -/sys/power",
		"ReadWritePaths=-/sys/kernel/config/tsm/report"}, "its capability would write elsewhere")
	for _, name := range []string{"merod.service", "merod-init.service"} {
		s := parsed(t, name)
		require.Equal(t, "merod", s.User, "one home, one owner")
		require.Equal(t, []string{"merod"}, s.State)
		require.Equal(t, "0700", s.StateMode)
	}
}

// The stand-ins refuse what the real programs refuse: see their contract.
func TestCommandLinesOfMerodAndTraefik(t *testing.T) {
	t.Parallel()
	home := filepath.Join(t.TempDir(), "merod")
	l, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 192+rand.IntN(60), rand.IntN(256), 1+rand.IntN(250)))
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	call := func(ctx context.Context, args []string) (int, string) {
		var said bytes.Buffer
		args = slices.Clone(args)
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "/var/lib/merod", home)
			args[i] = strings.ReplaceAll(args[i], "/etc/traefik", "roles/companions/files/root/etc/traefik")
		}
		return companion.Main(ctx, companion.Process{Args: args, Stderr: &said, Getenv: func(name string) string {
			return map[string]string{agent.NodeHostVariable: address}[name]
		}}), said.String()
	}
	run := parsed(t, "merod.service").Commands[0]
	code, said := call(t.Context(), run)
	require.Equal(t, 1, code)
	require.Contains(t, said, "Node is not initialized", "run alone does not start")

	commands := parsed(t, "merod-init.service").Commands
	require.Len(t, commands, 2)
	require.Equal(t, "/usr/lib/mero/mero-agent", commands[1][0], "tested with the agent")
	for range 2 { // a restart makes the unit's command again
		code, said = call(t.Context(), commands[0])
		require.Zero(t, code, said)
	}
	host, _, err := net.SplitHostPort(address)
	require.NoError(t, err)
	for at, args := range map[string][]string{
		net.JoinHostPort(host, "2528"): run, address: parsed(t, "traefik.service").Commands[0],
	} {
		ctx, end := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); code, said = call(ctx, args) }()
		listens := false
		require.Eventually(t, func() bool {
			c, err := net.Dial("tcp", at)
			listens = err == nil && c.Close() == nil
			return listens || isClosed(ended)
		}, hang.Limit(t), 5*time.Millisecond)
		end()
		<-ended
		require.True(t, listens, "it ends by itself: %s", said)
		require.Zero(t, code, said)
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Where merod listens is where traefik leads, and merod listens to this machine alone.
func TestTraefikLeadsToMerod(t *testing.T) {
	t.Parallel()
	dynamic, err := os.ReadFile("roles/companions/files/root/etc/traefik/dynamic/node.yaml")
	require.NoError(t, err)
	require.Contains(t, string(dynamic), "url: http://127.0.0.1:2528\n")
	require.Contains(t, strings.Join(parsed(t, "merod-init.service").Commands[0], " "),
		"--server-host 127.0.0.1 --server-port 2528")
}

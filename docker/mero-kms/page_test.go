package main

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/hang"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

// blocks are the fenced blocks of the page that are marked so.
func blocks(t *testing.T, mark string) []string {
	t.Helper()
	page, err := os.ReadFile("../../docs/operate-kms.md")
	require.NoError(t, err)
	var found []string
	for _, m := range regexp.MustCompile("(?s)\n```"+mark+"\n(.*?)\n```\n").FindAllStringSubmatch(string(page), -1) {
		found = append(found, m[1])
	}
	require.NotEmpty(t, found)
	return found
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

// byHand starts what the page says in a folder with the binary and a policy, and
// returns what the page's commands are with this test's ports.
func byHand(t *testing.T) *strings.Replacer {
	t.Helper()
	dir := t.TempDir()
	exe, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, os.Symlink(exe, filepath.Join(dir, "mero-kms")))
	node := tdx.Registers{MRTD: tdx.Register{1}, RTMR0: tdx.Register{2}, RTMR1: tdx.Register{3}, RTMR2: tdx.Register{4},
		RTMR3: tdx.ProfileRTMR3("debug")}
	policy, err := json.Marshal(policies.Policy{SchemaVersion: policies.SchemaVersion,
		KMSVersion: release.Version{Major: 1, Minor: 2}, Profile: release.Debug,
		AllowedTCBStatus: []string{"UpToDate"}, AllowedMRTD: []tdx.Register{node.MRTD},
		AllowedRTMR0: []tdx.Register{node.RTMR0},
		AllowedRTMR1: []tdx.Register{node.RTMR1}, AllowedRTMR2: []tdx.Register{node.RTMR2},
		AllowedRTMR3: []tdx.Register{node.RTMR3},
		Measurements: []policies.Measurement{{Registers: node,
			NodeRelease: release.Tag{Family: release.Node, Version: release.Version{Major: 1}},
			Evidence:    "sha256:" + strings.Repeat("0", 64)}}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "attestation-policy-debug.json"), policy, 0o600))

	public, metrics := freeAddress(t), freeAddress(t)
	ports := strings.NewReplacer("127.0.0.1:8080", public, "127.0.0.1:9090", metrics)
	c := exec.CommandContext(t.Context(), "sh", "-c",
		ports.Replace(strings.Replace(blocks(t, "start")[0], "./mero-kms", "exec ./mero-kms", 1)))
	c.Dir, c.Env, c.Cancel = dir, append(os.Environ(), "MERO_KMS_TEST_SERVE=1"),
		func() error { return c.Process.Signal(syscall.SIGTERM) }
	require.NoError(t, c.Start())
	t.Cleanup(func() { _ = c.Wait() })
	require.Eventually(t, func() bool {
		resp, err := http.Get("http://" + public + "/health")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		var said struct{ PolicyReady bool }
		return json.NewDecoder(resp.Body).Decode(&said) == nil && said.PolicyReady
	}, hang.Limit(t), 5*time.Millisecond)
	return ports
}

// The page's commands, run as they stand there, give the answers that stand there.
func TestThePageIsTrue(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed")
	}
	ports := byHand(t)
	for _, session := range blocks(t, "console") {
		for _, command := range strings.Split(strings.TrimPrefix(session, "$ "), "\n$ ") {
			line, want, found := strings.Cut(command, "\n")
			require.True(t, found, command)
			got, err := exec.CommandContext(t.Context(), "sh", "-c", ports.Replace(line)).Output()
			require.NoError(t, err, line)
			form := "^" + strings.ReplaceAll(regexp.QuoteMeta(want), "…", `[^"]+`) + "\n$"
			require.Regexp(t, form, string(got), line)
		}
	}
}

package companion_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/hang"
)

// The image's own files.
const (
	companions = "../../../ansible/roles/companions/files/root"
	dynamic    = companions + "/etc/traefik/dynamic"
)

func traefik(dir string, more ...string) []string {
	return append([]string{"/usr/lib/mero/traefik", "--entrypoints.web.address=:80", "--providers.file.directory=" + dir},
		more...)
}

// What the world may ask a node, by the image's own rules, and nothing else:
// merod takes orders beside what it shows.
func TestWhatTheWorldMayAsk(t *testing.T) {
	t.Parallel()
	env := platform(t)
	_, merod := home(t)
	code, said := call(t, nil, merod("init", "--server-host", "127.0.0.1")...)
	require.Zero(t, code, said)
	start(t, env, traefik(dynamic)...)
	status, said := ask(t, env, "GET", "/admin-api/health")
	require.Equal(t, http.StatusBadGateway, status, "merod is down")
	require.Equal(t, "Bad Gateway", said)

	start(t, env, merod("run")...)
	require.Eventually(t, func() bool {
		status, _ := ask(t, env, "GET", "/admin-api/health")
		return status == http.StatusOK
	}, hang.Limit(t), tick)
	const noTD = http.StatusInternalServerError // merod's stand-in was reached
	for request, want := range map[string]int{
		"GET /admin-api/health":           http.StatusOK,
		"GET /admin-api/health?x=1":       http.StatusOK,
		"GET /admin-api/tee/info":         noTD,
		"POST /admin-api/tee/attest":      noTD,
		"POST /admin-api/tee/fleet-join":  http.StatusNotFound,
		"POST /admin-api/health":          http.StatusNotFound,
		"GET /admin-api/tee/attest":       http.StatusNotFound,
		"GET /admin-api/healthy":          http.StatusNotFound,
		"GET /admin-api/health/":          http.StatusNotFound,
		"GET /admin-api/contexts":         http.StatusNotFound,
		"GET //admin-api/health":          http.StatusNotFound,
		"GET /Admin-api/health":           http.StatusNotFound,
		"GET /":                           http.StatusNotFound,
		"POST /admin-api%2Ftee/attest":    http.StatusBadRequest,
		"GET /x/../admin-api/health":      http.StatusNotFound,
		"POST /admin-api/tee/x/../attest": http.StatusNotFound,
	} {
		method, path, _ := strings.Cut(request, " ")
		status, said := ask(t, env, method, path)
		require.Equal(t, want, status, "%s: %s", request, said)
	}
}

func TestConfigurationsThatTraefikRefuses(t *testing.T) {
	t.Parallel()
	good := read(t, filepath.Join(dynamic, "node.yaml"))
	for name, tc := range map[string]struct{ old, made, want string }{
		"a matcher of traefik 1": {"Path(`/admin-api/health`)", "Path:`/admin-api/health`", "rule"},
		"an unknown matcher":     {"Path(`/admin-api/health`)", "Paths(`/admin-api/health`)", "unsupported function: Paths"},
		"a relative path":        {"`/admin-api/health`", "`admin-api/health`", "does not start with a '/'"},
		"no string":              {"`/admin-api/health`", "1", "is no string"},
		"two values":             {"`/admin-api/health`", "`/a`, `/b`", "one value"},
		"another operator":       {"&& Path(`/admin-api/health`)", "& Path(`/admin-api/health`)", "operator &"},
		"a sign":                 {"Path(`/admin-api/health`)", "-Path(`/admin-api/health`)", "operator -"},
		"an open bracket":        {"Path(`/admin-api/health`)", "(Path(`/admin-api/health`)", "rule"},
		"no service":             {"service: merod", "service: other", `service "other"`},
		"no port":                {":2528", "", "http://host:port"},
		"another entry point":    {"[web]", "[websecure]", "EntryPoint doesn't exist"},
		"a key that is misspelt": {"rule:", "rules:", "rules"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, good, tc.old)
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "node.yaml"), []byte(strings.Replace(good, tc.old, tc.made, 1)),
				0o600))
			code, said := call(t, platform(t), traefik(dir)...)
			require.Equal(t, 1, code)
			require.Contains(t, said, tc.want)
		})
	}
}

func TestFlagsThatTraefikRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"an unknown flag":  {traefik(dynamic, "--api.insecure=true"), "field not found"},
		"an argument":      {traefik(dynamic, "web"), "field not found"},
		"no truth":         {traefik(dynamic, "--providers.file.watch=maybe"), "invalid syntax"},
		"no entry point":   {traefik(dynamic)[2:], "entrypoints.web.address is missing"},
		"no configuration": {traefik(t.TempDir()), "no configuration"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := tc.args
			if name == "no entry point" {
				args = append([]string{"traefik"}, args...)
			}
			code, said := call(t, platform(t), args...)
			require.Equal(t, 1, code)
			require.Contains(t, said, tc.want)
		})
	}
}

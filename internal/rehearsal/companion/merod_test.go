package companion_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/node/clientconfig"
)

// What clap refuses ends with 2, before anything is looked at.
func TestCommandLinesThatMerodRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, tc := range map[string]struct {
		args string
		want string
	}{
		"no node":              {"--home D run", "--node <NAME>"},
		"no command":           {"--home D --node node", "requires a subcommand"},
		"an unknown command":   {"--home D --node node start", "unrecognized subcommand 'start'"},
		"an unknown flag":      {"--home D --node-name node run", "unexpected argument '--node-name'"},
		"a flag of run":        {"--home D --node node run --home D", "unexpected argument '--home'"},
		"a flag of init":       {"--home D --node node init --port 1", "unexpected argument '--port'"},
		"a flag in its place":  {"--home D --node node --server-port 1 init", "unexpected argument '--server-port'"},
		"a flag twice":         {"--home D --home D --node node run", "cannot be used multiple times"},
		"no value":             {"--home D --node", "a value is required for '--node'"},
		"a flag for a value":   {"--home --node node run", "a value is required for '--home'"},
		"an argument":          {"--home D --node node run now", "unexpected argument 'now'"},
		"a value too much":     {"--home D --node node run --mock-tee=1", "unexpected argument '--mock-tee'"},
		"a port that is none":  {"--home D --node node init --server-port 99999", "invalid value '99999'"},
		"a name for a host":    {"--home D --node node init --server-host localhost", "invalid IP address"},
		"another network":      {"--home D --node node init --boot-network main", "invalid value 'main'"},
		"another auth mode":    {"--home D --node node init --auth-mode none", "invalid value 'none'"},
		"a setting of nothing": {"--home D --node node config server", "Missing value"},
		"a value that is none": {"--home D --node node config server.listen=[", "invalid value"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := strings.Fields(strings.ReplaceAll("merod "+tc.args, " D ", " "+dir+" "))
			code, said := call(t, nil, args...)
			require.Equal(t, 2, code, said)
			require.Contains(t, said, tc.want)
			require.NoDirExists(t, filepath.Join(dir, "node"))
		})
	}
}

func TestRunBeforeInit(t *testing.T) {
	t.Parallel()
	_, merod := home(t)
	for _, command := range []string{"run", "up", "config"} {
		code, said := call(t, nil, merod(command)...)
		require.Equal(t, 1, code)
		require.Contains(t, said, "Node is not initialized")
	}
}

// A second init is a success that changes nothing: the node stays who it is.
func TestInit(t *testing.T) {
	t.Parallel()
	folder, merod := home(t)
	code, said := call(t, nil, merod("init", "--server-port", "2528")...)
	require.Zero(t, code, said)
	config := filepath.Join(folder, "config.toml")
	first := read(t, config)
	require.Contains(t, first, `listen = ["/ip4/127.0.0.1/tcp/2528", "/ip6/::1/tcp/2528"]`)
	for name, mode := range map[string]os.FileMode{folder: 0o700, config: 0o600} {
		info, err := os.Stat(name)
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode().Perm(), name)
	}
	code, said = call(t, nil, merod("init", "--server-port=1")...)
	require.Zero(t, code)
	require.Contains(t, said, "already initialized")
	require.Equal(t, first, read(t, config))
	code, _ = call(t, nil, merod("init", "--force")...)
	require.Zero(t, code)
	require.NotEqual(t, first, read(t, config))

	require.NoError(t, os.WriteFile(config, []byte("[server"), 0o600))
	code, said = call(t, nil, merod("init")...)
	require.Equal(t, 1, code)
	require.Contains(t, said, "Failed to load existing configuration")
	code, said = call(t, nil, merod("init", "--auth-mode", "embedded", "--force")...)
	require.Equal(t, 1, code)
	require.Contains(t, said, "admin credentials")
}

// clientConfig is what the agent hands to merod.
func clientConfig(t *testing.T, rtmr3 ...tdx.Register) []string {
	t.Helper()
	c, err := clientconfig.New("https://kms.example", measurement.Profile{MRTD: tdx.Register{1}, RTMR0: tdx.Register{2},
		RTMR1: tdx.Register{3}, RTMR2: tdx.Register{4}, Image: measurement.Image{ComposeHash: digest.Digest{5}}},
		[]string{"UpToDate"})
	require.NoError(t, err)
	c.Attestation.AllowedRTMR3 = append(c.Attestation.AllowedRTMR3, rtmr3...)
	return c.Arguments()
}

// What merod would not start with is not written.
func TestConfigOfAKeyService(t *testing.T) {
	t.Parallel()
	folder, merod := home(t)
	code, _ := call(t, nil, merod("init")...)
	require.Zero(t, code)
	before := read(t, filepath.Join(folder, "config.toml"))
	for name, tc := range map[string]struct {
		pairs []string
		want  string
	}{
		"no RTMR3":         {clientConfig(t), "allowed_rtmr3 is empty"},
		"no key service":   {[]string{"tee.kms.x=1"}, "no KMS provider"},
		"no address":       {clientConfig(t, tdx.Register{6})[1:], "no KMS provider"},
		"no table":         {[]string{"datastore.path.x=1"}, "is not a table"},
		"another's type":   {[]string{"server.listen=1"}, "incompatible types"},
		"nothing to serve": {[]string{"server.listen=[]"}, "missing field"},
	} {
		code, said := call(t, nil, merod(append([]string{"config"}, tc.pairs...)...)...)
		require.Equal(t, 1, code, name)
		require.Contains(t, said, tc.want, name)
		require.Equal(t, before, read(t, filepath.Join(folder, "config.toml")), name)
	}
	code, said := call(t, nil, merod(append([]string{"config"}, clientConfig(t, tdx.Register{6})...)...)...)
	require.Zero(t, code, said)
	require.Contains(t, read(t, filepath.Join(folder, "config.toml")), `url = "https://kms.example"`)
	code, said = call(t, nil, merod("run")...)
	require.Equal(t, 1, code)
	require.Contains(t, said, "failed to fetch key from KMS")
}

func TestANodeThatDoesNotStart(t *testing.T) {
	t.Parallel()
	folder, merod := home(t)
	code, _ := call(t, nil, merod("init")...)
	require.Zero(t, code)
	code, said := call(t, nil, merod("run", "--mock-tee")...)
	require.Equal(t, 1, code)
	require.Contains(t, said, "without mock-attestation")
	code, said = call(t, map[string]string{"MERO_KMS_VERSION": "1.2.0"}, merod("run")...)
	require.Equal(t, 1, code)
	require.Contains(t, said, "Failed to fetch policy")
	require.NoError(t, os.Remove(filepath.Join(folder, "data")))
	code, _ = call(t, nil, merod("run")...)
	require.Equal(t, 1, code)
}

// The server is at the address that the platform names, and says that the datastore answers.
func TestANodeAnswers(t *testing.T) {
	t.Parallel()
	env := platform(t)
	folder, merod := home(t)
	code, _ := call(t, nil, merod("init", "--server-host", "127.0.0.1", "--server-port", portOf(env))...)
	require.Zero(t, code)
	stop := start(t, env, merod("run")...)
	status, said := ask(t, env, "GET", "/admin-api/health")
	require.Equal(t, 200, status)
	require.JSONEq(t, `{"data":{"status":"`+agent.Alive+`"}}`, said)
	require.NoError(t, os.Remove(filepath.Join(folder, "data")))
	status, said = ask(t, env, "GET", "/admin-api/health")
	require.Equal(t, 503, status)
	require.Contains(t, said, "store_unavailable")
	stop()
}

func portOf(env map[string]string) string {
	_, port, _ := strings.Cut(env[agent.NodeHostVariable], ":")
	return port
}

func TestAnotherName(t *testing.T) {
	t.Parallel()
	code, said := call(t, nil, "/usr/lib/mero/vector")
	require.Equal(t, 1, code)
	require.Contains(t, said, "no stand-in")
}

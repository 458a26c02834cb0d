package config_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/release/config"
)

const root = "../../.."

// elsewhere are the names beyond Variables that the product reads, for the page.
var elsewhere = []struct{ name, purpose, reader, otherwise string }{
	{"GCP_WORKLOAD_IDENTITY_PROVIDER", "a variable of the repository: the provider of a workload identity, in place of " +
		"`GCP_SERVICE_ACCOUNT_KEY`", "the release workflows, job `release`", "the key is used"},
	{"GCP_SERVICE_ACCOUNT", "a variable of the repository: the account's address, for the workload identity",
		"the release workflows, job `release`", "none"},
	{"MERO_DIST", "where releases are staged and rehearsals are kept", "every command", "`dist/` of the repository"},
	{"PATH", "where programs are found", "`doctor`, builds, Packer", "the machine's"},
	{"TERM", "`dumb` is no terminal to redraw a line on", "every command", "the terminal's"},
	{"HOME", "its `.cache`, or `XDG_CACHE_HOME`, keeps compiled tools and what Sigstore publishes", "every command",
		"the machine's"},
	{"HTTPS_PROXY", "with `HTTP_PROXY`, `NO_PROXY`, `SSL_CERT_FILE` and `SSL_CERT_DIR`: how the network is reached, in " +
		"production", "Go's HTTP client, builds", "directly"},
	{"GOPROXY", "with Go's other settings (`go env`): where modules come from; `go.sum` fixes what they are", "builds",
		"Go's"},
	{"MERO_KMS_POLICY_URL", "with the key service's other variables: " +
		"[operate-kms.md](operate-kms.md) has each of them with its default", "the key service", "the release's asset"},
	{"LISTEN_FDS", "with `LISTEN_PID`: a socket that is handed over by systemd", "the key service", "it opens its own"},
	{"DSTACK_SOCKET_PATH", "the dstack guest agent's socket", "the key service", "`/var/run/dstack.sock`"},
	{"MERO_TSM_SOCKET", "the socket of a simulated TD", "the node's agent", "the hardware's"},
	{"GCE_METADATA_HOST", "where instance metadata is", "the node's agent", "`metadata.google.internal`"},
	{"MERO_NODE_HOST", "where a rehearsed node's port 80 is", "the node's agent", "`127.0.0.1:80`"},
}

// readers are the files that may look at the process environment, and why it is
// not this package that does. A name in the list is on the page.
var readers = map[string]struct {
	names []string // by literal; "" is one that is computed, or all of them
	why   string
}{
	"docker/mero-kms/main.go":                      {[]string{""}, "the key service has a configuration of its own"},
	"ansible/roles/agent/files/mero-agent/main.go": {[]string{""}, "the agent has none of a release"},
	"tools/ita/main.go":                            {[]string{"ITA_API_KEY"}, "a module of its own"},
	"internal/node/packer/source.go":               {[]string{""}, "hands it on to Go"},
	"internal/node/packer/run.go":                  {[]string{"PATH"}, "hands it on to Packer"},
	"internal/provider/git/git.go":                 {[]string{""}, "hands it on to git, less what names a repository"},
	"internal/base/gobuild/gobuild.go":             {[]string{""}, "hands it on to Go"},
	"internal/base/console/progress.go":            {[]string{"TERM"}, "what a terminal can do"},
	"internal/pipeline/run.go":                     {[]string{""}, "guard 4 looks at every name"},
	"internal/pipeline/steps/guards.go":            {[]string{""}, "guard 4 looks at every name"},
	"internal/pipeline/releasetest/death.go":       {[]string{""}, "tests: hands it on to a child"},
	"internal/rehearsal/actions/job.go":            {[]string{"PATH"}, "hands it on to a rehearsed job"},
	"internal/rehearsal/companion/standin/main.go": {[]string{""}, "runs in a rehearsed node, whose platform sets it"},
	"internal/cli/mage/main.go":                    {[]string{""}, "hands it on to Mage and to Go"},
	"internal/cli/dev/bench.go":                    {[]string{""}, "hands it on to a rehearsal"},
	"internal/cli/dev/first.go":                    {[]string{""}, "hands on what changes nothing of the first command"},
	"internal/cli/doctor/tools.go":                 {[]string{"PATH", ""}, "looks for programs, and calls them"},
	"internal/cli/session.go":                      {[]string{"GITHUB_ACTIONS"}, "its errors are annotations, too"},
	"internal/cli/workspace.go":                    {[]string{"MERO_DIST", ""}, "gives it to this package"},
	"internal/cli/doctor.go":                       {[]string{""}, "gives it to this package"},
}

// "The configuration is the only reader of the process environment", but for those that say why they are not.
func TestNoNameIsReadElsewhere(t *testing.T) {
	t.Parallel()
	known := map[string]bool{"": true}
	for _, v := range config.Variables() {
		known[v.Name] = true
	}
	for _, e := range elsewhere {
		known[e.name] = true
	}
	found := map[string][]string{}
	sources(t, func(name string) bool { return strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") },
		func(name string, data []byte) {
			for _, variable := range environmentReads(t, name, data) {
				require.True(t, known[variable], "%s reads %s, which docs/configuration.md does not list", name, variable)
				if !slices.Contains(found[name], variable) {
					found[name] = append(found[name], variable)
				}
			}
		})
	for name, variables := range found {
		require.ElementsMatch(t, readers[name].names, variables, "%s reads the process environment", name)
		require.NotEmpty(t, readers[name].why)
	}
	require.Len(t, found, len(readers), "a reader that reads no more")
}

// The rule fires.
func TestEnvironmentReads(t *testing.T) {
	t.Parallel()
	for source, want := range map[string][]string{
		`package a; import "os"; var x = os.Getenv("A")`:                      {"A"},
		`package a; import "os"; var x, _ = os.LookupEnv(name)`:               {""},
		`package a; import "os"; var x = os.Environ()`:                        {""},
		`package a; import "os"; var x = f(os.Getenv)`:                        {""},
		`package a; import "os"; var x = os.ExpandEnv("$A")`:                  {""},
		`package a; import "syscall"; var x, _ = syscall.Getenv("A")`:         {"A"},
		`package a; import "os"; func f() { _ = os.Setenv("A", os.Args[0]) }`: nil,
	} {
		require.Equal(t, want, environmentReads(t, "a.go", []byte(source)), source)
	}
}

// environmentReads are the names that a file reads, "" for one that is not literal.
func environmentReads(t *testing.T, name string, data []byte) (out []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), name, data, parser.SkipObjectResolution)
	require.NoError(t, err)
	literal := map[ast.Expr]string{}
	ast.Inspect(parsed, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if len(n.Args) == 1 {
				if l, ok := n.Args[0].(*ast.BasicLit); ok {
					literal[n.Fun], _ = strconv.Unquote(l.Value)
				}
			}
		case *ast.SelectorExpr:
			pkg, ok := n.X.(*ast.Ident)
			if !ok || pkg.Name != "os" && pkg.Name != "syscall" {
				return true
			}
			switch n.Sel.Name {
			case "Getenv", "LookupEnv":
				out = append(out, literal[n])
			case "Environ", "ExpandEnv":
				out = append(out, "")
			}
		}
		return true
	})
	return out
}

var fromGitHub = regexp.MustCompile(`\b(?:vars|secrets)\.([A-Z0-9_]+)`)

// Every variable and secret that a workflow is given is on the page.
func TestWorkflowsReadWhatThePageLists(t *testing.T) {
	t.Parallel()
	page, found := page(), map[string]bool{}
	sources(t, func(name string) bool { return strings.HasPrefix(name, ".github/") }, func(name string, data []byte) {
		for _, m := range fromGitHub.FindAllStringSubmatch(string(data), -1) {
			found[m[1]] = true
			require.Contains(t, page, "| `"+m[1]+"` |", name)
		}
	})
	require.Greater(t, len(found), 12)
}

var dstackAddress = regexp.MustCompile(`(?:https?://)?cloud-api\.phala\.[a-z]+[^\s"'` + "`" + `),]*`)

// otherAddresses are those in a text that are not the default one. Tests may
// name its host alone, for which something answers there.
func otherAddresses(text string) (out []string) {
	for _, found := range dstackAddress.FindAllString(text, -1) {
		if found != config.DefaultDstackURL && "https://"+found+"/api/v1" != config.DefaultDstackURL {
			out = append(out, found)
		}
	}
	return out
}

// There is one default address of the dstack provider in the whole repository,
// and code that is no test has it from here.
func TestOneAddressOfDstack(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"at https://cloud-api.phala.network/api/v1": 1, "`cloud-api.phala.network`": 1,
		"http://cloud-api.phala.com/api/v1": 1, "https://cloud-api.phala.com/api/v2": 1,
		config.DefaultDstackURL: 0, `Handle("cloud-api.phala.com", h)`: 0,
	} {
		require.Len(t, otherAddresses(text), want, text)
	}
	found := 0
	sources(t, func(name string) bool { return name != "internal/release/config/elsewhere_test.go" },
		func(name string, data []byte) {
			switch {
			case name == "internal/release/config/variables_test.go": // which has addresses that are refused
				return
			case strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") &&
				name != "internal/release/config/config.go":
				require.Empty(t, dstackAddress.FindAllString(string(data), -1), "%s has an address of its own", name)
			}
			require.Empty(t, otherAddresses(string(data)), name)
			found += len(dstackAddress.FindAll(data, -1))
		})
	require.Greater(t, found, 2)
}

// sources calls do with the repository's files that take accepts, by their paths.
func sources(t *testing.T, take func(name string) bool, do func(name string, data []byte)) {
	t.Helper()
	require.NoError(t, fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name == ".git" || name == "dist" || d.Name() == "testdata" {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() || !take(filepath.ToSlash(name)) {
			return nil
		}
		data, err := os.ReadFile(filepath.Join(root, name))
		do(name, data)
		return err
	}))
}

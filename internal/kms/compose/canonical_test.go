package compose_test

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/compose"
)

var update = flag.Bool("update", false, "rewrite golden files")

const pin = "@sha256:a250f81c3a7eeab0886884a7e72c3ce8857f086942542530ecce91c52e9aeba1"

// service puts one line into an otherwise accepted service.
func service(lines ...string) string {
	return "services:\n  kms:\n    image: r/kms" + pin + "\n    " + strings.Join(lines, "\n    ") + "\n"
}

func TestSpellingsHaveOneForm(t *testing.T) {
	t.Parallel()
	variables := map[string]string{"A": "1", "P": "8443"}
	want, err := compose.Canonical(t.Context(), []byte(service(
		`environment: {B: "${P}", A: "${A}"}`, `ports: ["${P}:8443"]`, `volumes: ["/data:/data"]`, `restart: always`)),
		variables)
	require.NoError(t, err)
	for name, file := range map[string]string{
		"order, comments, lists": "# c\n" + service(
			`restart: "always" # c`, `volumes: [{type: bind, source: /data, target: /data, bind: {create_host_path: true}}]`,
			`environment: {A: "${A}", B: "${P}"}`, `ports: [{target: 8443, published: "8443", protocol: tcp, mode: ingress}]`),
		"anchors": "x-env: &e {A: \"${A}\"}\n" + service(
			`environment: {<<: *e, B: "$P"}`, `ports: ["8443:8443"]`, `volumes: ["/data:/data"]`, `restart: always`),
		"defaults": service(
			`environment: {B: "${P:-9}", A: "${A?needed}"}`, `ports: ["8443:${NOT_SET:-8443}"]`, `volumes: ["/data:/data"]`,
			`restart: always`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := compose.Canonical(t.Context(), []byte(file), variables)
			require.NoError(t, err)
			require.Equal(t, string(want), string(got))
		})
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ file, want string }{
		"unset variable":        {service(`user: "${NOPE}"`), "variable NOPE is not set"},
		"unset nested variable": {service(`user: "${NOPE:-${DEEP}}"`), "DEEP"},
		"tag only":              {"services: {kms: {image: 'r/kms:1'}}", "not pinned by digest"},
		"short digest":          {"services: {kms: {image: 'r/kms@sha256:abcd'}}", "sha256:abcd"},
		"no image":              {"services: {kms: {restart: always}}", "no image specified|not pinned|neither an image"},
		"build":                 {service(`build: .`), `field "build"`},
		"env_file":              {service(`env_file: .env`), `field "env_file"`},
		"label_file":            {service(`label_file: l`), `field "label_file"`},
		"extends":               {service(`extends: {file: other.yaml, service: kms}`), `field "extends"`},
		"include":               {"include: [other.yaml]\n" + service(), `field "include"`},
		"configs":               {"configs: {c: {file: /etc/passwd}}\n" + service(), `field "configs"`},
		"obsolete version":      {"version: '3'\n" + service(), `field "version"`},
		"unknown field":         {service(`imagee: b`), `field "imagee"`},
		"unknown nested field":  {service(`ports: [{target: 1, oops: 2}]`), "oops"},
		"host variable, list":   {service(`environment: [HOME]`), "environment is not a mapping"},
		"host variable, map":    {service(`environment: {HOME: }`), "environment HOME has no value"},
		"number in environment": {service(`environment: {TTL: 60}`), "environment TTL is not text"},
		"duplicate key":         {service(`image: r/other` + pin), "already defined"},
		"duplicate service": {"services:\n  kms: {image: a" + pin + "}\n  kms: {image: b" + pin + "}\n",
			"already defined"},
		"two documents":   {service() + "---\n" + service(), "more than one YAML document"},
		"relative volume": {service(`volumes: ["./data:/data"]`), "not a full path"},
		"image as a volume": {service(`volumes: [{type: image, source: "r/data:latest", target: /x}]`),
			"of type image is outside"},
		"cluster volume":        {service(`volumes: [{type: cluster, source: x, target: /x}]`), "of type cluster is outside"},
		"named volume":          {service(`volumes: ["data:/x"]`), `volume "data" is one that no file defines`},
		"file of seccomp":       {service(`security_opt: ["seccomp=./profile.json"]`), "may be a file or a profile"},
		"profile of AppArmor":   {service(`security_opt: ["apparmor:of-the-host"]`), "may be a file or a profile"},
		"variable with a sign":  {service(`environment: {"A=B": "x"}`), `environment "A=B" is no name`},
		"variable of two words": {service(`environment: {"A B": "x"}`), `environment "A B" is no name`},
		"literal dollar":        {service(`user: "a$$b"`), "dollar sign"},
		"not ASCII":             {service(`user: "ä"`), "not printable ASCII"},
		"no services":           {"services: {}", "no services"},
		"service is a list":     {"services: {kms: []}", "not a mapping"},
		"not YAML":              {"\t:", "yaml"},
		"empty":                 {"", "EOF"},
		"too large":             {"# " + strings.Repeat("x", 64<<10), "more than the 65536 allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := compose.Canonical(t.Context(), []byte(tc.file), nil)
			require.Error(t, err)
			require.Regexp(t, tc.want, err.Error())
			require.Equal(t, fault.Usage, fault.CodeOf(err))
		})
	}
}

// What brings nothing in may stay.
func TestVolumesAndOptions(t *testing.T) {
	t.Parallel()
	_, err := compose.Canonical(t.Context(), []byte(service(`volumes: ["/a:/a", "/data", {type: tmpfs, target: /t}]`,
		`security_opt: ["no-new-privileges:true", "no-new-privileges", "seccomp=unconfined", "label:disable"]`,
		`environment: {"a.b-C_1": "x"}`)), nil)
	require.NoError(t, err)
}

// What the canonical form does not depend on is not measured, wherever its name stands.
func TestUnusedVariableIsRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		file string
		used bool
	}{
		"nowhere":        {service(), false},
		"in a comment":   {"# ${EXTRA}\n" + service(), false},
		"in an x- field": {"x-note: \"${EXTRA}\"\n" + service(), false},
		"demanded there": {"x-note: \"${EXTRA:?wanted}\"\n" + service(), false},
		"overridden": {"x-c: &c {environment: {EXTRA: \"${EXTRA}\"}}\n" + service(`<<: *c`, `environment: {A: "1"}`),
			false},
		"in an unread tail": {service(`environment: {A: "${SET-${EXTRA}}"}`), false},
		"escaped":           {service(`environment: {A: "$${EXTRA}"}`), false},

		"merged":       {"x-c: &c {environment: {EXTRA: \"${EXTRA}\"}}\n" + service(`<<: *c`), true},
		"in a number":  {service(`ports: ["8080:${EXTRA}"]`), true},
		"as a switch":  {service(`environment: {A: "${EXTRA:+on}"}`), true},
		"as a default": {service(`environment: {A: "${SET:-${EXTRA}}"}`), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			variables := map[string]string{"EXTRA": "1"}
			if strings.Contains(tc.file, "SET") {
				variables["SET"] = ""
			}
			_, err := compose.Canonical(t.Context(), []byte(tc.file), variables)
			if tc.used {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, "variable EXTRA is set, but the file does not use it")
			}
		})
	}
}

// An empty default is a value, and none is a variable that is not set.
func TestDefaults(t *testing.T) {
	t.Parallel()
	out, err := compose.Canonical(t.Context(), []byte(service(
		`environment: {A: "${UNSET:-}", B: "${UNSET-}", C: "${UNSET:-${DEEP:-}}", D: "${SET:-${UNSET}}"}`)),
		map[string]string{"SET": "set"})
	require.NoError(t, err)
	require.Contains(t, string(out), `"environment":{"A":"","B":"","C":"","D":"set"}`)
	for _, file := range []string{service(`environment: {A: "${UNSET}"}`), service(`environment: {A: "$UNSET"}`),
		service(`environment: {A: "x${A:-1}y$UNSET"}`), service(`read_only: "${UNSET}"`),
		service(`environment: {A: "${COMPOSE_PROJECT_NAME}"}`)} {
		_, err := compose.Canonical(t.Context(), []byte(file), nil)
		require.ErrorContains(t, err, "is not set", file)
	}
}

// released are the variables of the shipped compose file.
func released() map[string]string {
	return map[string]string{
		"KMS_IMAGE":        "ghcr.io/calimero-network/mero-kms" + pin,
		"MERO_KMS_VERSION": "1.2.0",
		"MERO_KMS_PROFILE": "locked-read-only",
		"MERO_KMS_POLICY_URL": "https://github.com/calimero-network/mero-tee/releases/download/mero-kms-v1.2.0/" +
			"attestation-policy-locked-read-only.json",
		"MERO_KMS_POLICY_SHA256":   strings.Repeat("ab", 32),
		"MERO_KMS_TDX_ROOT_SHA256": strings.Repeat("cd", 32),
	}
}

func shipped(t *testing.T) []byte {
	t.Helper()
	file, err := os.ReadFile(filepath.Join("..", "..", "..", "docker", "mero-kms", "docker-compose.yaml"))
	require.NoError(t, err)
	return file
}

func TestShippedFile(t *testing.T) {
	t.Parallel()
	got, err := compose.Canonical(t.Context(), shipped(t), released())
	require.NoError(t, err)
	golden(t, "compose.json", got)
}

func TestEveryVariableOfTheShippedFileIsMeasured(t *testing.T) {
	t.Parallel()
	file := shipped(t)
	first, err := compose.Canonical(t.Context(), file, released())
	require.NoError(t, err)
	for name := range released() {
		changed := maps.Clone(released())
		changed[name] = strings.Replace(changed[name], changed[name][len(changed[name])-1:], "7", 1)
		got, err := compose.Canonical(t.Context(), file, changed)
		require.NoError(t, err, name)
		require.NotEqual(t, string(first), string(got), name)
		delete(changed, name)
		_, err = compose.Canonical(t.Context(), file, changed)
		require.ErrorContains(t, err, name)
	}
}

// It changes the process itself, so it runs alone.
func TestIndependentOfTheProcess(t *testing.T) {
	file := shipped(t)
	want, err := compose.Canonical(t.Context(), file, released())
	require.NoError(t, err)
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile(".env", []byte("MERO_KMS_VERSION=9.9.9\n"), 0o600))
	for name, value := range map[string]string{"MERO_KMS_VERSION": "9.9.9", "COMPOSE_PROJECT_NAME": "other",
		"COMPOSE_PROFILES": "x", "HOME": "/nowhere", "TZ": "Asia/Tokyo", "LANG": "tr_TR.UTF-8"} {
		t.Setenv(name, value)
	}
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	got, err := compose.Canonical(t.Context(), file, released())
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

func FuzzCanonical(f *testing.F) {
	f.Add(service(`environment: {A: "1"}`, `ports: ["1:1"]`))
	f.Add(service(`volumes: ["/a:/b:ro"]`))
	f.Add("x-a: &a {b: c}\nservices: {kms: *a}")
	f.Fuzz(func(t *testing.T, file string) {
		out, err := compose.Canonical(t.Context(), []byte(file), nil)
		if err != nil {
			return
		}
		again, err := compose.Canonical(t.Context(), out, nil)
		require.NoError(t, err, "the canonical form is itself a compose file")
		require.Equal(t, string(out), string(again), "and its own canonical form")
	})
}

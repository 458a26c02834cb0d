package gobuild_test

import (
	"debug/buildinfo"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/gobuild"
)

func greeter(dir, arch string) gobuild.Program {
	return gobuild.Program{Module: filepath.Join("..", "..", ".."), Package: "./internal/base/gobuild/testdata/hello",
		Name: "hello", GOARCH: arch, OutDir: dir}
}

// It changes the environment, so it runs alone: whatever a machine sets, the bytes stay.
func TestCompileIsReproducible(t *testing.T) {
	first, err := gobuild.Compile(t.Context(), greeter(t.TempDir(), "amd64"))
	require.NoError(t, err)
	for name, value := range map[string]string{"GOFLAGS": "-tags=other -ldflags=-X=main.x=y", "GOAMD64": "v3",
		"CGO_ENABLED": "1",
		"GOOS":        "windows", "GOARCH": "386", "GOEXPERIMENT": "nojsonv2", "GODEBUG": "x509sha1=1", "GOTOOLCHAIN": "auto",
		"GOFIPS140": "latest"} {
		t.Setenv(name, value)
	}
	second, err := gobuild.Compile(t.Context(), greeter(t.TempDir(), "amd64"))
	require.NoError(t, err)
	a, err := os.ReadFile(first)
	require.NoError(t, err)
	b, err := os.ReadFile(second)
	require.NoError(t, err)
	require.Equal(t, len(a), len(b))
	require.True(t, string(a) == string(b), "the same sources give the same bytes")
}

func TestCompiledBinary(t *testing.T) {
	t.Parallel()
	path, err := gobuild.Compile(t.Context(), greeter(t.TempDir(), "arm64"))
	require.NoError(t, err)
	require.Equal(t, "hello-linux-arm64", filepath.Base(path))
	binary, err := elf.Open(path)
	require.NoError(t, err)
	defer binary.Close()
	require.Equal(t, elf.EM_AARCH64, binary.Machine)
	require.Nil(t, binary.Section(".interp"), "static: no dynamic loader")
	require.Nil(t, binary.Section(".symtab"), "stripped")
	info, err := buildinfo.ReadFile(path)
	require.NoError(t, err)
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	require.Equal(t, "0", settings["CGO_ENABLED"])
	require.Equal(t, "v8.0", settings["GOARM64"])
	require.Equal(t, "true", settings["-trimpath"])
	require.NotContains(t, settings, "vcs.revision")
	require.Equal(t, runtime.Version(), info.GoVersion)
}

func TestCompiledBinaryRuns(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("the binary is for Linux, this is " + runtime.GOOS)
	}
	path, err := gobuild.Compile(t.Context(), greeter(t.TempDir(), runtime.GOARCH))
	require.NoError(t, err)
	out, err := exec.CommandContext(t.Context(), path).Output()
	require.NoError(t, err)
	require.Equal(t, "hello\n", string(out))
}

func TestCompileError(t *testing.T) {
	t.Parallel()
	o := greeter(t.TempDir(), "amd64")
	o.Package = "./internal/base/gobuild/testdata/absent"
	_, err := gobuild.Compile(t.Context(), o)
	require.Equal(t, fault.General, fault.CodeOf(err))
	require.ErrorContains(t, err, "absent", "the compiler's own words")
}

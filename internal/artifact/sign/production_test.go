package sign_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/artifact/sign"
	"github.com/calimero-network/mero-tee/internal/artifact/signature"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// DESIGN: "No environment variable adds or replaces one."
func TestPublicRootCannotBeReplaced(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	for _, name := range []string{"TUF_MIRROR", "TUF_ROOT", "TUF_ROOT_JSON"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, "http://127.0.0.1:1/")
			requireNoPublicRoot(t, name+" is set")
		})
	}
	for name, content := range map[string]string{
		"initialized": `{"mirror":"http://127.0.0.1:1/"}`, "no mirror": `{}`, "damaged": `{`,
		"huge": strings.Repeat(" ", 2<<20),
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.MkdirAll(filepath.Join(home, ".sigstore", "root"), 0o700))
			writeFile(t, home, ".sigstore/root/remote.json", []byte(content))
			requireNoPublicRoot(t, "remote.json")
		})
	}
}

func requireNoPublicRoot(t *testing.T, got string) {
	t.Helper()
	_, err := sign.PublicTrustedRoot()
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Equal(t, fault.Usage, f.Code)
	require.Contains(t, f.Got, got)
	_, err = sign.SigningConfig("")
	require.Equal(t, fault.Usage, fault.CodeOf(err))
}

func TestTrustFromFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, dir, "damaged", []byte("{"))
	writeFile(t, dir, "huge", bytes.Repeat([]byte(" "), 2<<20))
	for _, name := range []string{"absent", "damaged", "huge"} {
		path := filepath.Join(dir, name)
		tm, err := signature.TrustedRoot(path)
		require.Equal(t, fault.Usage, fault.CodeOf(err), name)
		require.Nil(t, tm, name)
		_, err = sign.SigningConfig(path)
		require.Equal(t, fault.Usage, fault.CodeOf(err), name)
	}
}

func TestSignerNeedsACompleteConfig(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(instance.SigningConfigRekorV2Path)
	require.NoError(t, err)
	for name, field := range map[string]string{"no authority": "caUrls", "no log": "rekorTlogUrls",
		"no time for rekor v2": "tsaUrls"} {
		path := filepath.Join(t.TempDir(), "config.json")
		require.NoError(t, os.WriteFile(path, without(t, raw, field), 0o600))
		sc, err := sign.SigningConfig(path)
		require.NoError(t, err, name)
		_, err = sign.NewSigner(t.Context(), sign.Config{SigningConfig: sc, Token: tokenOf(instance, identity)})
		require.Equal(t, fault.Usage, fault.CodeOf(err), name)
	}
	_, err = sign.NewSigner(t.Context(), sign.Config{Token: tokenOf(instance, identity)})
	require.Equal(t, fault.Usage, fault.CodeOf(err))
}

// without returns a JSON object without one of its fields.
func without(t *testing.T, raw []byte, field string) []byte {
	t.Helper()
	var object map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(raw, &object))
	require.Contains(t, object, field)
	delete(object, field)
	out, err := json.Marshal(object)
	require.NoError(t, err)
	return out
}

package compose_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/compose"
	"github.com/calimero-network/mero-tee/internal/release"
)

func app(t *testing.T, profile release.Profile) []byte {
	t.Helper()
	file, err := compose.Canonical(t.Context(), shipped(t), released())
	require.NoError(t, err)
	out, err := compose.AppCompose(profile, file)
	require.NoError(t, err)
	return out
}

func TestAppCompose(t *testing.T) {
	t.Parallel()
	data := app(t, release.LockedReadOnly)
	golden(t, "app-compose-locked-read-only.json", data)
	got, err := compose.ParseApp(data)
	require.NoError(t, err)
	require.Equal(t, "mero-kms-locked-read-only", got.Name)
	var fields map[string]any
	require.NoError(t, json.Unmarshal(data, &fields))
	require.Len(t, fields, 17, "what is left out, the provider adds before it hashes")
	require.NotContains(t, fields, "key_provider")
	require.NotRegexp(t, `(?m)^\s*(exit|exec)\b`, got.PreLaunchScript, "it is sourced")
	require.False(t, got.PublicLogs, "a locked service shows nothing but its port")

	services, err := got.Services()
	require.NoError(t, err)
	kms := services["mero-kms"]
	require.Equal(t, released()["KMS_IMAGE"], kms.Image)
	require.Equal(t, "1.2.0", kms.Environment["MERO_KMS_VERSION"])
	require.Equal(t, []compose.Port{{Target: 8080, Published: "8080", Protocol: "tcp"}}, kms.Ports)
	require.Equal(t, []compose.Volume{{Type: "bind", Source: "/var/run/dstack.sock", Target: "/var/run/dstack.sock"}},
		kms.Volumes)
}

// The platform's tools hash app-compose.json after sorting its keys and
// removing white space; ours is in that form already.
func TestAppComposeIsInThePlatformsNormalForm(t *testing.T) {
	t.Parallel()
	data := app(t, release.Debug)
	var generic map[string]any
	require.NoError(t, json.Unmarshal(data, &generic))
	var sorted bytes.Buffer
	enc := json.NewEncoder(&sorted)
	enc.SetEscapeHTML(false)
	require.NoError(t, enc.Encode(generic)) // encoding/json sorts the keys of a map
	require.Equal(t, strings.TrimSuffix(sorted.String(), "\n"), string(data))
	require.Equal(t, digest.Of(data), compose.Hash(data))
}

func TestProfilesHaveDifferentHashes(t *testing.T) {
	t.Parallel()
	seen := map[digest.Digest]bool{}
	for _, p := range release.Profiles() {
		seen[compose.Hash(app(t, p))] = true
	}
	require.Len(t, seen, 3)
	_, err := compose.AppCompose("production", []byte("{}"))
	require.ErrorContains(t, err, "unknown profile")
}

func TestParseAppRefuses(t *testing.T) {
	t.Parallel()
	good := string(app(t, release.Debug))
	for name, tc := range map[string]struct{ data, want string }{
		"newline":       {good + "\n", "normalized form"},
		"white space":   {strings.Replace(good, ",", ", ", 1), "normalized form"},
		"missing field": {strings.Replace(good, `"secure_time":true`, `"secure_time":false`, 1) + " ", "normalized form"},
		"unknown field": {strings.Replace(good, "{", `{"key_provider":"kms",`, 1), "unknown field"},
		"open environment": {strings.Replace(good, `"allowed_envs":[]`, `"allowed_envs":["ALLOWED_MRTD"]`, 1),
			"1 open variables"},
		"another script":   {strings.Replace(good, `nothing to prepare`, `something`, 1), "script is not ours"},
		"another runner":   {strings.Replace(good, `"runner":"docker-compose"`, `"runner":"bash"`, 1), `"bash"`},
		"another manifest": {strings.Replace(good, `"manifest_version":2`, `"manifest_version":3`, 1), "manifest 3"},
		"empty":            {"", "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := compose.ParseApp([]byte(tc.data))
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, fault.Verification, fault.CodeOf(err))
		})
	}
	_, err := compose.App{Name: "x", DockerComposeFile: "{"}.Services()
	require.ErrorContains(t, err, "compose file of x")
}

func FuzzParseApp(f *testing.F) {
	f.Add([]byte(`{"allowed_envs":[],"docker_compose_file":"{}","manifest_version":2,"runner":"docker-compose"}`))
	file, err := compose.AppCompose(release.Debug, []byte(`{"services":{}}`))
	require.NoError(f, err)
	f.Add(file)
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, err := compose.ParseApp(data); err == nil {
			require.Empty(t, got.AllowedEnvs)
			_, _ = got.Services() // must not panic
		}
	})
}

func TestHashesFile(t *testing.T) {
	t.Parallel()
	hashes := map[release.Profile]digest.Digest{}
	for i, p := range release.Profiles() {
		hashes[p] = digest.Digest{byte(i + 1)}
	}
	text, err := compose.FormatHashes(hashes)
	require.NoError(t, err)
	require.Equal(t, "sha256:01"+strings.Repeat("00", 31)+"  debug\n"+
		"sha256:02"+strings.Repeat("00", 31)+"  debug-read-only\n"+
		"sha256:03"+strings.Repeat("00", 31)+"  locked-read-only\n", string(text))
	back, err := compose.ParseHashes(text)
	require.NoError(t, err)
	require.Equal(t, hashes, back)

	delete(hashes, release.DebugReadOnly)
	_, err = compose.FormatHashes(hashes)
	require.ErrorContains(t, err, "no compose hash for debug-read-only")
}

func TestParseHashesRefuses(t *testing.T) {
	t.Parallel()
	line := func(p release.Profile) string { return "sha256:" + strings.Repeat("ab", 32) + "  " + string(p) + "\n" }
	good := line("debug") + line("debug-read-only") + line("locked-read-only")
	_, err := compose.ParseHashes([]byte(good))
	require.NoError(t, err)
	for name, text := range map[string]string{
		"empty": "", "profile missing": line("debug") + line("locked-read-only"), "order": line("debug-read-only") +
			line("debug") + line("locked-read-only"),
		"no last newline": strings.TrimSuffix(good, "\n"), "more lines": good + line("debug"),
		"upper case": strings.Replace(good, "ab", "AB", 1),
		"short":      strings.Replace(good, "abab", "ab", 1), "no prefix": strings.Replace(good, "sha256:", "", 1),
		"one space": strings.Replace(good, "  debug\n", " debug\n", 1), "CRLF": strings.ReplaceAll(good, "\n", "\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := compose.ParseHashes([]byte(text))
			require.Error(t, err)
			require.Equal(t, fault.Verification, fault.CodeOf(err))
		})
	}
}

func FuzzParseHashes(f *testing.F) {
	f.Add([]byte("sha256:" + strings.Repeat("ab", 32) + "  debug\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if hashes, err := compose.ParseHashes(data); err == nil {
			text, err := compose.FormatHashes(hashes)
			require.NoError(t, err)
			require.Equal(t, data, text)
		}
	})
}

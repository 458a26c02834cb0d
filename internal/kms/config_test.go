package kms_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms"
	"github.com/calimero-network/mero-tee/internal/release"
)

func pin(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image-profile")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func TestLoadDefaults(t *testing.T) {
	t.Parallel()
	c, err := kms.Load([]string{"MERO_KMS_VERSION=1.2.0-rc.1", "MERO_KMS_PROFILE=debug-read-only", "PATH=/bin"},
		pin(t, "debug-read-only\n"))
	require.NoError(t, err)
	require.Equal(t, "https://github.com/calimero-network/mero-tee/releases/download/mero-kms-v1.2.0-rc.1/"+
		"attestation-policy-debug-read-only.json", c.PolicyURL.String())
	require.Equal(t, tdx.IntelRootSHA256, c.TDXRoot)
	require.True(t, c.Intel())
	c.PolicyURL = nil
	require.Equal(t, kms.Config{Version: release.Version{Major: 1, Minor: 2, Candidate: 1}, Profile: release.DebugReadOnly,
		TDXRoot: tdx.IntelRootSHA256,
		Listen:  "0.0.0.0:8080", GuestSocket: "/var/run/dstack.sock", ChallengeTTL: time.Minute, KeyPrefix: "merod/storage",
		RequireSealed: true}, c)
}

func TestLoadAll(t *testing.T) {
	t.Parallel()
	digest := strings.Repeat("0f", 32)
	c, err := kms.Load([]string{"MERO_KMS_VERSION=1.2.0", "MERO_KMS_PROFILE=debug", "MERO_KMS_POLICY_URL=file:///p.json",
		"MERO_KMS_POLICY_SHA256=" + digest,
		"MERO_KMS_TDX_ROOT_SHA256=" + digest, "LISTEN_ADDR=127.0.0.1:1", "DSTACK_SOCKET_PATH=/s", "CHALLENGE_TTL_SECS=5",
		"MERO_KMS_PCS_URL=https://pccs.example.com:8081", "MERO_KMS_MIN_TCB_EVALUATION_NUMBER=17",
		"REDIS_URL=redis://r:1/3?pool_size=50&min_idle_conns=2",
		"MERO_KMS_TRUSTED_ROOT=/root.json", "KEY_NAMESPACE_PREFIX=/a/b/",
		"MERO_KMS_REQUIRE_SEALED_KEY_RELEASE=false"}, pin(t, "debug"))
	require.NoError(t, err)
	require.False(t, c.RequireSealed)
	require.Equal(t, "/p.json", c.PolicyURL.Path)
	require.False(t, c.Intel())
	require.Equal(t, []string{digest, digest, "127.0.0.1:1", "/s", "a/b"},
		[]string{c.PolicySHA256, c.TDXRoot, c.Listen, c.GuestSocket, c.KeyPrefix})
	require.Equal(t, []string{"https://pccs.example.com:8081", "/root.json"}, []string{c.PCSURL, c.TrustedRoot})
	require.Equal(t, 17, c.MinEvaluation)
	require.Equal(t, 5*time.Second, c.ChallengeTTL)
	require.Equal(t, []int{3, 50, 2}, []int{c.Redis.DB, c.Redis.PoolSize, c.Redis.MinIdleConns})
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	good := []string{"MERO_KMS_VERSION=1.2.0", "MERO_KMS_PROFILE=debug"}
	for name, tc := range map[string]struct {
		env  []string
		want string
	}{
		"no version":     {[]string{"MERO_KMS_VERSION="}, "MERO_KMS_VERSION: not a version"},
		"version with v": {[]string{"MERO_KMS_VERSION=v1.2.0"}, "MERO_KMS_VERSION: not a version"},
		"no profile":     {[]string{"MERO_KMS_PROFILE="}, "MERO_KMS_PROFILE: unknown profile"},
		"other profile":  {[]string{"MERO_KMS_PROFILE=prod"}, "MERO_KMS_PROFILE: unknown profile"},
		"plain HTTP":     {[]string{"MERO_KMS_POLICY_URL=http://github.com/p.json"}, "MERO_KMS_POLICY_URL is malformed"},
		"credentials": {[]string{"MERO_KMS_POLICY_URL=https://a:b@github.com/p.json"},
			"MERO_KMS_POLICY_URL is malformed"},
		"relative file": {[]string{"MERO_KMS_POLICY_URL=file://p.json"}, "MERO_KMS_POLICY_URL is malformed"},
		"short pin":     {[]string{"MERO_KMS_POLICY_SHA256=00"}, "MERO_KMS_POLICY_SHA256 is malformed"},
		"upper case pin": {[]string{"MERO_KMS_POLICY_SHA256=" + strings.Repeat("0F", 32)},
			"MERO_KMS_POLICY_SHA256 is malformed"},
		"PCS over HTTP":    {[]string{"MERO_KMS_PCS_URL=http://pccs"}, "MERO_KMS_PCS_URL is malformed"},
		"PCS with a query": {[]string{"MERO_KMS_PCS_URL=https://pccs/?a"}, "MERO_KMS_PCS_URL is malformed"},
		"evaluation number": {[]string{"MERO_KMS_MIN_TCB_EVALUATION_NUMBER=-1"},
			"MERO_KMS_MIN_TCB_EVALUATION_NUMBER is malformed"},
		"short root":             {[]string{"MERO_KMS_TDX_ROOT_SHA256=ab"}, "MERO_KMS_TDX_ROOT_SHA256 is malformed"},
		"TTL zero":               {[]string{"CHALLENGE_TTL_SECS=0"}, "CHALLENGE_TTL_SECS is malformed"},
		"TTL of two hours":       {[]string{"CHALLENGE_TTL_SECS=7200"}, "CHALLENGE_TTL_SECS is malformed"},
		"TTL negative":           {[]string{"CHALLENGE_TTL_SECS=-5"}, "CHALLENGE_TTL_SECS is malformed"},
		"TTL that overflows":     {[]string{"CHALLENGE_TTL_SECS=9223372036854775807"}, "CHALLENGE_TTL_SECS is malformed"},
		"TTL that wraps":         {[]string{"CHALLENGE_TTL_SECS=18446744074"}, "CHALLENGE_TTL_SECS is malformed"},
		"TTL no number":          {[]string{"CHALLENGE_TTL_SECS=1m"}, "CHALLENGE_TTL_SECS is malformed"},
		"Redis' pool below zero": {[]string{"REDIS_URL=redis://r?pool_size=-5"}, "REDIS_URL is malformed"},
		"Redis' pool that overflows": {[]string{"REDIS_URL=redis://r?pool_size=9223372036854775807"},
			"REDIS_URL is malformed"},
		"Redis' pool that fills the memory": {[]string{"REDIS_URL=redis://r?pool_size=2147483647"},
			"REDIS_URL is malformed"},
		"Redis' idle connections": {[]string{"REDIS_URL=redis://r?min_idle_conns=100000000"}, "REDIS_URL is malformed"},
		"Redis' database":         {[]string{"REDIS_URL=redis://r/-1"}, "REDIS_URL is malformed"},
		"Redis' database again":   {[]string{"REDIS_URL=redis://r?db=-1"}, "REDIS_URL is malformed"},
		"prefix that climbs":      {[]string{"KEY_NAMESPACE_PREFIX=a/../b"}, "KEY_NAMESPACE_PREFIX is malformed"},
		"prefix with a gap":       {[]string{"KEY_NAMESPACE_PREFIX=a//b"}, "KEY_NAMESPACE_PREFIX is malformed"},
		"signed, perhaps":         {[]string{"MERO_KMS_POLICY_SIGNATURE=no"}, "MERO_KMS_POLICY_SIGNATURE is malformed"},
		"nothing vouches for the policy": {[]string{"MERO_KMS_POLICY_SIGNATURE=none"},
			"nothing vouches for the policy"},
		"sealed, perhaps": {[]string{"MERO_KMS_REQUIRE_SEALED_KEY_RELEASE=0"},
			"MERO_KMS_REQUIRE_SEALED_KEY_RELEASE is malformed"},
		"ALLOWED_MRTD":        {[]string{"ALLOWED_MRTD=ab"}, "ALLOWED_MRTD is set"},
		"ALLOWED_* but empty": {[]string{"ALLOWED_TCB_STATUS="}, "ALLOWED_TCB_STATUS is set"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := kms.Load(append(append([]string{}, good...), tc.env...), "/nonexistent")
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, fault.Usage, fault.CodeOf(err))
		})
	}
}

func TestLegacyVariableNamesThePolicyFile(t *testing.T) {
	t.Parallel()
	_, err := kms.Load([]string{"ALLOWED_RTMR0=ab", "ALLOWED_MRTD=cd"}, "/nonexistent")
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Equal(t, "ALLOWED_MRTD, ALLOWED_RTMR0", f.Got)
	require.Contains(t, f.Hint, "attestation-policy-{profile}.json")
}

func TestImageProfile(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"other": pin(t, "locked-read-only\n"), "empty": pin(t, ""),
		"two lines": pin(t, "debug\n\n"), "a folder": t.TempDir()} {
		_, err := kms.Load([]string{"MERO_KMS_VERSION=1.2.0", "MERO_KMS_PROFILE=debug"}, path)
		require.ErrorContains(t, err, "image", name)
		require.Equal(t, fault.Usage, fault.CodeOf(err), name)
	}
}

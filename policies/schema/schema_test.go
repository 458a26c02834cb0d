package schema_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/canonical"
	"github.com/calimero-network/mero-tee/internal/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
	"github.com/calimero-network/mero-tee/policies/schema"
)

func golden(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "testdata", release.PolicyAsset(release.Debug)))
	require.NoError(t, err)
	return string(b)
}

func TestValidateAcceptsWhatIsGenerated(t *testing.T) {
	t.Parallel()
	require.NoError(t, schema.Validate([]byte(golden(t))))

	w := &policies.Working{SchemaVersion: "1", Profile: release.Debug, AllowedTCBStatus: policies.TCBStatuses(),
		Measurements: []policies.Measurement{}, Revoked: []policies.Revocation{}}
	p, err := policies.Generate(w, release.Version{Major: 1, Candidate: 1}, policies.Evidence{})
	require.NoError(t, err)
	empty, err := p.Encode()
	require.NoError(t, err)
	require.NoError(t, schema.Validate(empty), "a policy that is not ready may be empty, and every known TCB status is known here too")
}

// The schema stands alone: what it can say, it says without policies.Decode.
func TestValidateRefuses(t *testing.T) {
	t.Parallel()
	register := strings.Repeat("a0", 48)
	for name, tc := range map[string]struct{ from, to string }{
		"schema version":     {`"schema_version": "1"`, `"schema_version": "2"`},
		"leading v":          {`"kms_version": "1.2.0"`, `"kms_version": "v1.2.0"`},
		"profile":            {`"profile": "debug"`, `"profile": "open"`},
		"status":             {`"profile":`, `"status": "ready", "profile":`},
		"stable not ready":   {`"profile":`, `"status": "policy_not_ready", "profile":`},
		"unknown field":      {`"profile":`, `"role": "kms", "profile":`},
		"field missing":      {`"allowed_rtmr3": [`, `"allowed_rtmr4": [`},
		"short register":     {register, register[:94]},
		"zero register":      {register, strings.Repeat("0", 96)},
		"upper case":         {register, strings.ToUpper(register)},
		"empty list":         {"\"" + register + "\"\n  ]", "]"},
		"no TCB status":      {`"UpToDate"`, ``},
		"revoked TCB status": {`"UpToDate"`, `"Revoked"`},
		"kms evidence":       {"mero-tee-v1.1.0", "mero-kms-v1.1.0"},
		"short evidence":     {"sha256:11", "sha256:1"},
		"register missing":   {"      \"rtmr1\": \"" + strings.Repeat("b1", 48) + "\",\n", ""},
		"not JSON":           {`{`, ``},
		"too large":          {`{`, strings.Repeat(" ", canonical.MaxSize) + `{`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changed := strings.Replace(golden(t), tc.from, tc.to, 1)
			require.NotEqual(t, golden(t), changed)
			err := schema.Validate([]byte(changed))
			require.ErrorContains(t, err, "does not conform to attestation-policy.schema.json")
			require.Equal(t, fault.Verification, fault.CodeOf(err))
		})
	}
}

func FuzzValidate(f *testing.F) {
	b, err := os.ReadFile(filepath.Join("..", "testdata", release.PolicyAsset(release.Debug)))
	require.NoError(f, err)
	f.Add(b)
	f.Fuzz(func(t *testing.T, in []byte) {
		if _, err := policies.Decode(in); err == nil {
			require.NoError(t, schema.Validate(in), "what Decode accepts conforms")
		}
	})
}

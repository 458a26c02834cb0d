package schema_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/fault"
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

	w := &policies.Working{SchemaVersion: "1", Profile: release.Debug, AllowedTCBStatus: tcb.Statuses(),
		TCBWaivers: []tcb.Waiver{{Status: "OutOfDate", Advisories: []string{"INTEL-SA-01192", "INTEL-DOC-00001"},
			FMSPC: "b0c06f000000", Reason: "r", Until: "2026-12-31"},
			{Status: "OutOfDateConfigurationNeeded", Reason: "r", Until: "2026-12-31"}},
		Measurements: []policies.Measurement{}, Revoked: []policies.Revocation{}}
	p, err := policies.Generate(w, release.Version{Major: 1, Candidate: 1}, policies.Evidence{})
	require.NoError(t, err)
	empty, err := p.Encode()
	require.NoError(t, err)
	require.NoError(t, schema.Validate(empty),
		"a policy that is not ready may be empty, and every known TCB status is known here too")
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

func TestValidateWorking(t *testing.T) {
	t.Parallel()
	tag, regs := release.Tag{Family: release.Node, Version: release.Version{Major: 1}}, tdx.Registers{}
	for _, r := range []*tdx.Register{&regs.MRTD, &regs.RTMR0, &regs.RTMR1, &regs.RTMR2, &regs.RTMR3} {
		r[0] = 1
	}
	w := &policies.Working{SchemaVersion: "1", Profile: release.Debug, AllowedTCBStatus: []string{"OutOfDate"},
		TCBWaivers: []tcb.Waiver{{Status: "OutOfDate", Reason: "r", Until: "2026-12-31"}},
		Measurements: []policies.Measurement{{NodeRelease: tag, Evidence: "sha256:" + strings.Repeat("a", 64),
			FirstSeen: "2026-05-01", Registers: regs}},
		Revoked: []policies.Revocation{{NodeRelease: tag, Registers: regs, Reason: "CVE-2026-1"}}}
	data, err := w.Encode()
	require.NoError(t, err)
	require.NoError(t, schema.ValidateWorking(data))
	require.Error(t, schema.Validate(data), "a working policy is not a released one")
	for name, tc := range map[string]struct{ from, to string }{
		"no waiver": {`"tcb_waivers"`, `"waivers"`},
		"waiver missing": {
			"\"tcb_waivers\": [\n    {\n      \"status\": \"OutOfDate\",\n      \"reason\": \"r\",\n" +
				"      \"until\": \"2026-12-31\"\n    }\n  ],\n", ""},
		"waiver without an end": {",\n      \"until\": \"2026-12-31\"", ""},
		"waiver until some day": {"2026-12-31", "2026-13-31"},
		"waiver of Revoked":     {"\"status\": \"OutOfDate\"", "\"status\": \"Revoked\""},
		"first_seen":            {"2026-05-01", "May"},
		"no reason":             {"CVE-2026-1", " "},
		"zero register":         {regs.MRTD.String(), strings.Repeat("0", 96)},
		"flat list":             {`"revoked"`, `"allowed_mrtd"`},
	} {
		changed := strings.Replace(string(data), tc.from, tc.to, 1)
		require.NotEqual(t, string(data), changed, name)
		require.ErrorContains(t, schema.ValidateWorking([]byte(changed)), "does not conform to working-policy.schema.json",
			name)
	}
	for _, p := range release.Profiles() {
		shipped, err := os.ReadFile(filepath.Join("..", policies.File(p)))
		require.NoError(t, err)
		require.NoError(t, schema.ValidateWorking(shipped))
	}
}

func FuzzValidateWorking(f *testing.F) {
	b, err := os.ReadFile(filepath.Join("..", policies.File(release.Debug)))
	require.NoError(f, err)
	f.Add(b)
	f.Fuzz(func(t *testing.T, in []byte) {
		w, err := policies.DecodeWorking(in)
		if err != nil {
			return
		}
		out, err := w.Encode() // white space and the case of keys are Go's matter, not the schema's
		require.NoError(t, err)
		require.NoError(t, schema.ValidateWorking(out))
	})
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

package audit_test

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/audit"
)

// in replaces text in one asset; a test whose text is not there would prove nothing.
func in(asset, old, replacement string) edit {
	return func(name, content string) string {
		if name != asset {
			return content
		}
		if !strings.Contains(content, old) {
			panic(asset + " does not contain " + old)
		}
		return strings.ReplaceAll(content, old, replacement)
	}
}

func inPolicy(p release.Profile, old, replacement string) edit {
	return in(release.PolicyAsset(p), old, replacement)
}

const notReady = "\n  \"status\": \"policy_not_ready\","

// All of these are signed by the right workflow, with the right checksums: only
// what they say is wrong.
func TestPolicyValidation(t *testing.T) {
	t.Parallel()
	debug := registersOf(release.Debug)
	zero := strings.Repeat("0", 96)
	for name, tc := range map[string]struct {
		change edit
		wrong  []string
	}{
		"zero register": {inPolicy(release.Debug, debug.RTMR1.String(), zero), []string{"policy of debug"}},
		"short register": {inPolicy(release.Debug, debug.MRTD.String(), debug.MRTD.String()[2:]),
			[]string{"policy of debug"}},
		"upper-case register": {inPolicy(release.Debug, debug.MRTD.String(), strings.ToUpper(debug.MRTD.String())),
			[]string{"policy of debug"}},
		"no list of a register": {inPolicy(release.Debug, "\n  \"allowed_rtmr2\": [\n    \""+debug.RTMR2.String()+"\"\n  ],",
			""),
			[]string{"policy of debug"}},
		"empty list of a register": {inPolicy(release.Debug, "\"allowed_rtmr2\": [\n    \""+debug.RTMR2.String()+"\"\n  ]",
			"\"allowed_rtmr2\": []"),
			[]string{"policy of debug"}},
		"empty allowed_tcb_status": {inPolicy(release.LockedReadOnly, "[\n    \"UpToDate\"\n  ]", "[]"),
			[]string{"policy of locked-read-only"}},
		"revoked is allowed": {inPolicy(release.LockedReadOnly, "UpToDate", "Revoked"),
			[]string{"policy of locked-read-only"}},
		"another profile": {inPolicy(release.Debug, "\"profile\": \"debug\"", "\"profile\": \"debug-read-only\""),
			[]string{"policy of debug"}},
		"another version": {inPolicy(release.Debug, "\"kms_version\": \"1.2.0\"", "\"kms_version\": \"1.2.1\""),
			[]string{"policy of debug"}},
		"policy_not_ready": {inPolicy(release.Debug, "\"profile\": \"debug\",", "\"profile\": \"debug\","+notReady),
			[]string{"policy of debug"}},
		"an unknown field": {inPolicy(release.Debug, "\"profile\": \"debug\",",
			"\"profile\": \"debug\",\n  \"allow_all\": true,"), []string{"policy of debug"}},
		"not JSON": {inPolicy(release.Debug, "{\n  \"schema", "{\n  schema"), []string{"policy of debug"}},
		"another profile's RTMR3": {inPolicy(release.Debug, debug.RTMR3.String(),
			registersOf(release.LockedReadOnly).RTMR3.String()),
			[]string{"policies keep the profiles apart"}},
		"RTMR2 of two profiles": {inPolicy(release.Debug, debug.RTMR2.String(),
			registersOf(release.LockedReadOnly).RTMR2.String()),
			[]string{"policies keep the profiles apart"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report := judge(t, made(t, stable, tc.change), audit.Subject{Tag: stable, Commit: commit})
			require.Equal(t, fault.Verification, fault.CodeOf(report.Results.Err()))
			require.Equal(t, tc.wrong, failed(report.Results))
		})
	}
}

// "RC: policy may be policy_not_ready. A stable release with policy_not_ready is a release blocker."
func TestCandidateMayCarryPolicyNotReady(t *testing.T) {
	t.Parallel()
	change := func(name, content string) string {
		if strings.HasPrefix(name, "attestation-policy-") {
			return strings.Replace(content, "\n  \"allowed_mrtd\"", notReady+"\n  \"allowed_mrtd\"", 1)
		}
		return content
	}
	for tag, wrong := range map[release.Tag][]string{
		candidate: nil,
		stable:    {"policy of debug", "policy of debug-read-only", "policy of locked-read-only"},
	} {
		report := judge(t, made(t, tag, change), audit.Subject{Tag: tag, Commit: commit})
		require.Equal(t, wrong, failed(report.Results), tag)
	}
}

// What the measured file runs must be what the rest of the release speaks of, and
// nothing may stand in it that the commit's own file does not make.
func TestComposeFiles(t *testing.T) {
	t.Parallel()
	const runs, source = "compose file of debug runs this release", "compose file of debug is made of the commit's"
	file := release.ComposeAsset(release.Debug)
	both, alone := []string{runs, source}, []string{source}
	for name, tc := range map[string]struct {
		change edit
		wrong  []string
	}{
		"another image":   {in(file, "mero-kms@sha256:", "mero-kms@sha256:0"), both},
		"another version": {in(file, `\"MERO_KMS_VERSION\":\"1.2.0\"`, `\"MERO_KMS_VERSION\":\"1.1.0\"`), both},
		"another profile": {in(file, `\"MERO_KMS_PROFILE\":\"debug\"`, `\"MERO_KMS_PROFILE\":\"locked-read-only\"`),
			both},
		"no pinned policy":   {in(file, "MERO_KMS_POLICY_SHA256", "MERO_KMS_POLICY_SHA255"), both},
		"another TDX root":   {in(file, `\"MERO_KMS_TDX_ROOT_SHA256\":\"`, `\"MERO_KMS_TDX_ROOT_SHA256\":\"00`), both},
		"an unsigned policy": {in(file, `POLICY_SIGNATURE\":\"required\"`, `POLICY_SIGNATURE\":\"none\"`), both},
		"keys in the clear":  {in(file, `SEALED_KEY_RELEASE\":\"true\"`, `SEALED_KEY_RELEASE\":\"false\"`), both},
		"a policy from elsewhere": {in(file, `https://github.com/calimero-network`, `https://github.com/calimer0-network`),
			both},
		"another repository's image": {in(file, `ghcr.io/calimero-network/mero-kms@`, `ghcr.io/stranger/mero-kms@`), both},
		"a second service":           {in(file, `\"services\":{`, `\"services\":{\"helper\":{},`), both},
		"a renamed service":          {in(file, `\"mero-kms\":{`, `\"kms\":{`), both},
		"open variables":             {in(file, `"allowed_envs":[]`, `"allowed_envs":["ALLOWED_MRTD"]`), both},
		"another form":               {in(file, `{"allowed_envs"`, `{ "allowed_envs"`), both},
		"a legacy override":          {in(file, `\"environment\":{`, `\"environment\":{\"ALLOWED_MRTD\":\"00\",`), alone},
		"a stranger's store":         {in(file, `\"environment\":{`, `\"environment\":{\"A\":\"redis://stranger\",`), alone},
		"other keys":                 {in(file, `merod/storage`, `merod/others`), alone},
		"another entry point":        {in(file, `\"cap_drop\"`, `\"entrypoint\":[\"/bin/sh\"],\"cap_drop\"`), alone},
		"every capability":           {in(file, `\"cap_drop\":[\"ALL\"],`, ``), alone},
		"the host's disk":            {in(file, `\"source\":\"/var/run/dstack.sock\"`, `\"source\":\"/\"`), alone},
		"a writable root":            {in(file, `\"read_only\":true`, `\"read_only\":false`), alone},
		"public logs":                {in(file, `"public_sysinfo":false`, `"public_sysinfo":true`), alone},
		"hash of other file":         {in(release.ComposeHashAsset, "sha256:", "sha256:0"), []string{"compose hashes"}},
		"hashes swapped": {func(name, content string) string {
			if name != release.ComposeHashAsset {
				return content
			}
			lines := strings.Split(content, "\n")
			lines[0], lines[1] = lines[1][:71]+lines[0][71:], lines[0][:71]+lines[1][71:]
			return strings.Join(lines, "\n")
		}, []string{"compose hash of debug", "compose hash of debug-read-only"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report := judge(t, made(t, stable, tc.change), audit.Subject{Tag: stable, Commit: commit})
			require.Equal(t, fault.Verification, fault.CodeOf(report.Results.Err()))
			require.Equal(t, tc.wrong, failed(report.Results))
		})
	}
}

// Where the commit is not in the clone, or there is no clone, that is said: it is neither good nor bad.
func TestComposeFilesWithoutTheCommit(t *testing.T) {
	t.Parallel()
	const name = "compose file of debug is made of the commit's"
	for what, tc := range map[string]struct {
		sources audit.Sources
		status  check.Status
		says    string
	}{
		"the commit's":                 {elsewhere{clone(commit)}, check.Passed, ""},
		"this work tree's":             {clone(other), check.Passed, ""},
		"neither":                      {elsewhere{clone(other)}, check.Failed, "is not in this clone"},
		"no clone":                     {noClone{}, check.Failed, "is not in this clone"},
		"a clone that cannot be asked": {broken{}, check.Failed, "disk on fire"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			report := judge(t, released(t), audit.Subject{Tag: stable, Commit: commit, Sources: tc.sources})
			i := slices.IndexFunc(report.Results, func(r check.Result) bool { return r.Name == name })
			require.Equal(t, tc.status, report.Results[i].Status)
			require.Contains(t, report.Results[i].Reason, tc.says)
			require.NotEqual(t, fault.Verification, fault.CodeOf(report.Results.Err()), "nothing is called forged")
		})
	}
}

// noClone has no file at all.
type noClone struct{}

func (noClone) At(context.Context, string, string) ([]byte, error) { return nil, fs.ErrNotExist }
func (noClone) Here(string) ([]byte, error)                        { return nil, fs.ErrNotExist }

type broken struct{ noClone }

func (broken) At(context.Context, string, string) ([]byte, error) {
	return nil, errors.New("disk on fire")
}

// Whose machine a key service may run on is the commit's to say: not the words of whoever signs.
func TestPlatformOfTheKeyService(t *testing.T) {
	t.Parallel()
	const name = "registers and TCB list of the key service's machine are the commit's"
	data, err := clone(commit).Here(measurement.PlatformsFile)
	require.NoError(t, err)
	file, err := measurement.DecodePlatforms(data)
	require.NoError(t, err)
	platform, err := file.Chosen()
	require.NoError(t, err)
	for what, tc := range map[string]struct {
		change  edit
		subject audit.Subject
		status  check.Status
	}{
		"another operating system": {in(release.MeasurementsAsset, platform.RTMR1.String(), strings.Repeat("ab", 48)),
			audit.Subject{}, check.Failed},
		"another source": {in(release.MeasurementsAsset, platform.Source, "https://example.org/evil"), audit.Subject{},
			check.Failed},
		"a weaker TCB list": {in(release.MeasurementsAsset, `"UpToDate"`, "\"UpToDate\",\n      \"SWHardeningNeeded\""),
			audit.Subject{}, check.Failed},
		"as the commit says":     {nil, audit.Subject{}, check.Passed},
		"another platforms file": {nil, audit.Subject{Platforms: "internal/rehearsal/dstack/platforms.json"}, check.Failed},
		"no such commit":         {nil, audit.Subject{Sources: noClone{}}, check.Failed},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			tc.subject.Tag, tc.subject.Commit = stable, commit
			report := judge(t, made(t, stable, tc.change), tc.subject)
			i := slices.IndexFunc(report.Results, func(r check.Result) bool { return r.Name == name })
			require.Equal(t, tc.status, report.Results[i].Status, report.Results[i].Reason)
			if tc.change != nil {
				require.Equal(t, []string{name}, failed(report.Results))
				require.Equal(t, fault.Verification, fault.CodeOf(report.Results.Err()))
			}
		})
	}
}

func TestMeasurementsAndSBOM(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change edit
		wrong  []string
	}{
		"of another tag": {in(release.MeasurementsAsset, `"tag": "mero-kms-v1.2.0"`, `"tag": "mero-kms-v1.1.0"`),
			[]string{"measurements"}},
		"of another commit": {in(release.MeasurementsAsset, commit, other), []string{"measurements"}},
		"a profile is gone": {in(release.MeasurementsAsset, `"debug": {`, `"open": {`), []string{"measurements"}},
		"another form":      {in(release.MeasurementsAsset, "\n  \"family\"", "\n   \"family\""), []string{"measurements"}},
		"SBOM of SPDX 2.2":  {in(release.SBOMAsset, "SPDX-2.3", "SPDX-2.2"), []string{"SBOM"}},
		"SBOM is not JSON":  {in(release.SBOMAsset, `"name"`, `name`), []string{"SBOM"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report := judge(t, made(t, stable, tc.change), audit.Subject{Tag: stable, Commit: commit})
			require.Equal(t, fault.Verification, fault.CodeOf(report.Results.Err()))
			require.Equal(t, tc.wrong, failed(report.Results))
		})
	}
}

package inspection_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
	"github.com/calimero-network/mero-tee/policies/inspection"
)

var tag = release.Tag{Family: release.Node, Version: release.Version{Major: 1}}

func register(seed byte) tdx.Register {
	return tdx.Register(bytes.Repeat([]byte{seed}, tdx.RegisterSize))
}

func evidence() policies.Evidence {
	ev := policies.Evidence{Tag: tag, Digest: "sha256:" + strings.Repeat("1", 64),
		Registers: map[release.Profile]tdx.Registers{}}
	for i, p := range release.Profiles() {
		ev.Registers[p] = tdx.Registers{MRTD: register(0xa0), RTMR0: register(0xa1), RTMR1: register(0xb0),
			RTMR2: register(0x10 + byte(i)), RTMR3: tdx.ProfileRTMR3(string(p))}
	}
	return ev
}

// folders are the working policies of a promoted node release, and those of a KMS release made from them.
func folders(t *testing.T) (working, released fstest.MapFS) {
	t.Helper()
	working, released = fstest.MapFS{}, fstest.MapFS{}
	for _, p := range release.Profiles() {
		w := &policies.Working{SchemaVersion: "1", Profile: p, AllowedTCBStatus: []string{"UpToDate"},
			Measurements: []policies.Measurement{}, Revoked: []policies.Revocation{}}
		w, err := policies.Promote(w, evidence())
		require.NoError(t, err)
		data, err := w.Encode()
		require.NoError(t, err)
		working[policies.File(p)] = &fstest.MapFile{Data: data}
		policy, err := policies.Generate(w, release.Version{Major: 1}, evidence())
		require.NoError(t, err)
		data, err = policy.Encode()
		require.NoError(t, err)
		released[release.PolicyAsset(p)] = &fstest.MapFile{Data: data}
	}
	return working, released
}

func failed(results check.Results) (names []string) {
	for _, r := range results {
		if !r.OK() {
			names = append(names, r.Name)
		}
	}
	return names
}

func TestSoundFolders(t *testing.T) {
	t.Parallel()
	working, released := folders(t)
	for name, fsys := range map[string]fstest.MapFS{"working": working, "released": released} {
		results := inspection.Folder(fsys, today)
		require.NoError(t, results.Err(), name)
		require.Equal(t, len(results), results.Count(check.Passed), name)
		require.GreaterOrEqual(t, len(results), 25, "%s: one line per check of each file", name)
	}
	shipped := inspection.Folder(os.DirFS(".."), today)
	require.NoError(t, shipped.Err())
}

// One damage each: the check that is there for it fires, and the command ends with 10.
func TestEveryCheckFires(t *testing.T) {
	t.Parallel()
	zero, a0 := strings.Repeat("0", 96), strings.Repeat("a0", 48)
	for name, tc := range map[string]struct {
		released       bool
		file, from, to string
		want           string
	}{
		"zero register":  {false, "debug.json", a0, zero, "debug.json: registers are 96 hex digits and not zero"},
		"short register": {false, "debug.json", a0, a0[2:], "debug.json: registers are 96 hex digits and not zero"},
		"upper case": {false, "debug.json", a0, strings.ToUpper(a0),
			"debug.json: registers are 96 hex digits and not zero"},
		"no register at all": {false, "debug.json", `"` + a0 + `"`, "7",
			"debug.json: registers are 96 hex digits and not zero"},
		"schema": {false, "debug.json", `"revoked": []`, `"revoked": {}`, "debug.json: conforms to its schema"},
		"order of keys": {false, "debug.json", "  \"schema_version\": \"1\",\n  \"profile\": \"debug\",\n",
			"  \"profile\": \"debug\",\n  \"schema_version\": \"1\",\n", "debug.json: is in the canonical form"},
		"no JSON":       {false, "debug.json", "{", "", "debug.json: is in the canonical form"},
		"evidence":      {false, "debug.json", "sha256:1", "sha256:", "debug.json: measurements are whole tuples"},
		"TCB empty":     {false, "debug.json", "[\n    \"UpToDate\"\n  ]", "[]", "debug.json: TCB list is sane"},
		"TCB Revoked":   {false, "debug.json", `"UpToDate"`, `"Revoked"`, "debug.json: TCB list is sane"},
		"TCB OutOfDate": {false, "debug.json", `"UpToDate"`, `"OutOfDate"`, "debug.json: TCB list is sane"},
		"TCB unknown":   {false, "debug.json", `"UpToDate"`, `"Fine"`, "debug.json: TCB list is sane"},
		"profile": {false, "debug.json", `"profile": "debug"`, `"profile": "open"`,
			"debug.json: version and profile are known"},
		"misplaced": {false, "debug.json", `"profile": "debug"`, `"profile": "debug-read-only"`,
			"RTMR2 and RTMR3 keep the profiles apart, RTMR3 is the profile's"},
		"rtmr2 shared": {false, "debug.json", strings.Repeat("10", 48), strings.Repeat("11", 48),
			"RTMR2 and RTMR3 keep the profiles apart, RTMR3 is the profile's"},
		"rtmr3 shared": {false, "debug.json", tdx.ProfileRTMR3("debug").String(),
			tdx.ProfileRTMR3("debug-read-only").String(), "RTMR2 and RTMR3 keep the profiles apart, RTMR3 is the profile's"},
		"flat list": {true, "attestation-policy-debug.json", a0, strings.Repeat("a2", 48),
			"attestation-policy-debug.json: flat lists equal the tuples"},
		"not ready": {true, "attestation-policy-debug.json", `"allowed_mrtd"`,
			"\"status\": \"policy_not_ready\",\n  \"allowed_mrtd\"",
			"attestation-policy-debug.json: status is that of its release"},
		"released rtmr2": {true, "attestation-policy-debug.json", strings.Repeat("10", 48), strings.Repeat("11", 48),
			"RTMR2 and RTMR3 keep the profiles apart, RTMR3 is the profile's"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fsys, released := folders(t)
			if tc.released {
				fsys = released
			}
			whole := string(fsys[tc.file].Data)
			n := 1
			if name == "released rtmr2" {
				n = -1 // in the flat list too, so that nothing else is wrong
			}
			changed := strings.Replace(whole, tc.from, tc.to, n)
			require.NotEqual(t, whole, changed)
			fsys[tc.file] = &fstest.MapFile{Data: []byte(changed)}
			results := inspection.Folder(fsys, today)
			require.Contains(t, failed(results), tc.want)
			require.Equal(t, fault.Verification, fault.CodeOf(results.Err()))
			if !strings.HasPrefix(tc.want, "RTMR2") {
				require.Contains(t, failed(inspection.File(tc.file, []byte(changed), today)), tc.want)
			}
		})
	}
}

func TestFolderMissesAndRefusesFiles(t *testing.T) {
	t.Parallel()
	working, released := folders(t)
	working["locked.json"] = working["debug.json"]
	require.Contains(t, failed(inspection.Folder(working, today)),
		"folder holds one policy per profile and nothing unknown")
	delete(working, "locked.json")
	delete(working, "debug.json")
	require.Equal(t, fault.MissingAsset, fault.CodeOf(inspection.Folder(working, today).Err()))
	working["debug.json"] = released["attestation-policy-debug.json"]
	require.Error(t, inspection.Folder(working, today).Err(), "a released policy in the place of a working one")
	require.Error(t, inspection.Folder(fstest.MapFS{}, today).Err())
}

// Each waiver has a line with its reason; one that has ended fails by its name.
func TestWaiversAreShownAndEnd(t *testing.T) {
	t.Parallel()
	w := &policies.Working{SchemaVersion: "1", Profile: release.Debug, AllowedTCBStatus: []string{"UpToDate"},
		TCBWaivers: []tcb.Waiver{
			{Status: "OutOfDate", FMSPC: "b0c06f000000", Reason: "the provider updates in December", Until: "2026-12-31"},
			{Status: "OutOfDate", Reason: "one week more", Until: "2026-11-25"}},
		Measurements: []policies.Measurement{}, Revoked: []policies.Revocation{}}
	data, err := w.Encode()
	require.NoError(t, err)
	results := inspection.File("debug.json", data, today)
	require.Equal(t, []string{"debug.json: TCB waiver of OutOfDate until 2026-11-25"}, failed(results))
	shown := results[len(results)-2]
	require.Equal(t, "debug.json: TCB waiver of OutOfDate of FMSPC b0c06f000000 until 2026-12-31", shown.Name)
	require.Equal(t, "the provider updates in December", shown.Reason)
	require.NoError(t, inspection.File("debug.json", data, today.AddDate(0, 0, -1)).Err())
}

func TestHost(t *testing.T) {
	t.Parallel()
	shipped, err := os.ReadFile(filepath.Join("..", "..", tcb.HostFile))
	require.NoError(t, err)
	require.NoError(t, inspection.Host(tcb.HostFile, shipped, today).Err())
	require.Len(t, inspection.File("host-tcb.json", shipped, today), 2, "File knows it by its content")
	for name, edit := range map[string][2]string{
		"revoked":        {`"UpToDate"`, `"Revoked"`},
		"no waiver":      {`"UpToDate"`, `"OutOfDate"`},
		"another key":    {`"schema_version"`, `"version"`},
		"another schema": {`"1"`, `"2"`},
	} {
		changed := strings.Replace(string(shipped), edit[0], edit[1], 1)
		require.NotEqual(t, string(shipped), changed)
		results := inspection.Host("host-tcb.json", []byte(changed), today)
		require.Contains(t, failed(results), "host-tcb.json: TCB list is sane", name)
		if name != "no waiver" {
			require.Contains(t, failed(results), "host-tcb.json: conforms to its schema", name)
		}
	}
	ended := strings.Replace(string(shipped), "  ]\n", "  ],\n  \"tcb_waivers\": [\n    {\n"+
		"      \"status\": \"OutOfDate\",\n"+
		"      \"reason\": \"r\",\n      \"until\": \"2026-11-25\"\n    }\n  ]\n", 1)
	require.Equal(t, []string{"host-tcb.json: TCB waiver of OutOfDate until 2026-11-25"},
		failed(inspection.Host("host-tcb.json", []byte(ended), today)))
}

// The two readings agree: what the tools take for a policy has no failing line.
var today = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func FuzzFile(f *testing.F) {
	for _, p := range []string{"../debug.json", "../testdata/attestation-policy-debug.json"} {
		data, err := os.ReadFile(p)
		require.NoError(f, err)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		ok := inspection.File("f", in, time.Time{}).Err() == nil // on a day on which no waiver has ended
		if host, err := tcb.DecodeHost(in); err == nil {
			require.NotNil(t, host)
			return
		}
		p, err := policies.Decode(in)
		if err == nil {
			canonical, err := p.Encode()
			require.NoError(t, err)
			require.Equal(t, bytes.Equal(canonical, in), ok)
			return
		}
		if ok {
			_, err := policies.DecodeWorking(in)
			require.NoError(t, err, "no host list either")
		}
	})
}

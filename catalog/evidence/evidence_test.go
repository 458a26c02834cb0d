package evidence_test

import (
	"bytes"
	"encoding/json"
	"path"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/catalog/evidence"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

func tag(t testing.TB, name string) release.Tag {
	t.Helper()
	out, err := release.ParseTag(name)
	require.NoError(t, err)
	return out
}

func registers(p release.Profile, mrtd byte) tdx.Registers {
	return tdx.Registers{MRTD: tdx.Register{mrtd}, RTMR0: tdx.Register{2}, RTMR1: tdx.Register{3},
		RTMR2: tdx.Register{4, byte(len(p))}, RTMR3: tdx.ProfileRTMR3(string(p))}
}

// passed is the record of a candidate's test that passed, as policy_not_ready lets it.
func passed(t testing.TB) *evidence.E2E {
	t.Helper()
	kms, node := tag(t, "mero-kms-v1.0.0-rc.1"), tag(t, "mero-tee-v1.0.0-rc.2")
	e := &evidence.E2E{SchemaVersion: evidence.SchemaVersion, Release: kms,
		KMS:  evidence.Side{Release: kms, Commit: strings.Repeat("a", 40), Measurements: digest.Of([]byte("kms"))},
		Node: evidence.Side{Release: node, Commit: strings.Repeat("b", 40), Measurements: digest.Of([]byte("node"))},
		Run:  "https://github.com/calimero-network/mero-tee/actions/runs/1",
		At:   evidence.Stamp(time.Date(2026, 11, 26, 21, 0, 0, 0, time.UTC)),
		Checks: []evidence.Check{{Name: "profile isolation", Result: check.Skipped, Reason: "policy_not_ready"},
			{Name: "nothing is left behind", Result: check.Passed}}}
	for _, p := range release.Profiles() {
		seen := registers(p, 1)
		service := evidence.Machine{Image: "ghcr.io/o/mero-kms:1", Digest: digest.Of([]byte("image " + p)), Seen: &seen}
		e.Profiles = append(e.Profiles, evidence.Profile{Profile: p,
			KMS: evidence.Service{Machine: service, ComposeHash: digest.Of([]byte("c" + p)), Policy: digest.Of([]byte("p" + p)),
				Reconfigured: []evidence.Deployment{{Policy: "an older one", ComposeHash: digest.Of([]byte("o" + p))}}},
			Node: evidence.Machine{Image: "projects/p/global/images/node", Digest: digest.Of([]byte("disk " + p)),
				Seen: &seen},
			Checks: []evidence.Check{{Name: "node " + string(p) + " gets its key", Result: check.Passed}}})
	}
	return e
}

func encoded(t testing.TB, e *evidence.E2E) []byte {
	t.Helper()
	data, err := e.Encode()
	require.NoError(t, err)
	return data
}

func TestARecordIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	e := passed(t)
	require.Equal(t, "catalog/evidence/1.0.0-rc.1--1.0.0-rc.2.json", e.Path())
	data := encoded(t, e)
	again, err := evidence.Decode(path.Base(e.Path()), data)
	require.NoError(t, err)
	require.Equal(t, e, again)
	require.NoError(t, conforms(t, data))
	require.Empty(t, e.Failed())
}

func conforms(t testing.TB, data []byte) error {
	t.Helper()
	c := jsonschema.NewCompiler()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(evidence.Schema))
	require.NoError(t, err)
	require.NoError(t, c.AddResource(evidence.SchemaFile, doc))
	schema, err := c.Compile(evidence.SchemaFile)
	require.NoError(t, err)
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	require.NoError(t, err)
	return schema.Validate(value)
}

func TestWhatIsNoEvidence(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*evidence.E2E)
		says   string
		schema bool // the schema refuses it too
	}{
		"another schema": {func(e *evidence.E2E) { e.SchemaVersion = "2" }, "schema_version", true},
		"a side of the other family": {func(e *evidence.E2E) { e.Node.Release.Family = release.KMS },
			"node: a release of another family", true},
		"a branch for a commit": {func(e *evidence.E2E) { e.KMS.Commit = "main" }, "kms: commit is not one", true},
		"no measurements": {func(e *evidence.E2E) { e.Node.Measurements = digest.Digest{} },
			"measurements is missing", true},
		"a test of others": {func(e *evidence.E2E) { e.Release.Version = release.Version{Major: 9} },
			"the test is of neither release", false},
		"a time of day":    {func(e *evidence.E2E) { e.At = "21:00" }, "at is not a time", true},
		"a time elsewhere": {func(e *evidence.E2E) { e.At = "2026-11-26T21:00:00+01:00" }, "at is not a time", true},
		"a run nowhere":    {func(e *evidence.E2E) { e.Run = "http://runs" }, "run is not an address", true},
		"no profiles":      {func(e *evidence.E2E) { e.Profiles = nil }, "no profile was tested", true},
		"profiles turned": {func(e *evidence.E2E) { e.Profiles[0].Profile = release.LockedReadOnly },
			"out of order", false},
		"an unknown profile": {func(e *evidence.E2E) { e.Profiles[0].Profile = "open" }, "unknown", true},
		"no policy": {func(e *evidence.E2E) { e.Profiles[0].KMS.Policy = digest.Digest{} },
			"policy is missing", true},
		"a deployment of nothing": {func(e *evidence.E2E) {
			e.Profiles[0].KMS.Reconfigured = []evidence.Deployment{{ComposeHash: digest.Of(nil)}}
		}, "deployment is not described", true},
		"no image":           {func(e *evidence.E2E) { e.Profiles[0].Node.Image = "" }, "image is not named", true},
		"an unknown result":  {func(e *evidence.E2E) { e.Checks[0].Result = "PASS" }, "unknown result", true},
		"a check of nothing": {func(e *evidence.E2E) { e.Profiles[1].Checks[0].Name = "" }, "has no name", true},
		"a reason in lines":  {func(e *evidence.E2E) { e.Checks[0].Reason = "a\nb" }, "one plain line", false},
		"a hidden character": {func(e *evidence.E2E) { e.Checks[0].Name = "a\u2060b" }, "one plain line", false},
		"a reason of a novel": {func(e *evidence.E2E) { e.Checks[0].Reason = strings.Repeat("x", 2001) },
			"one plain line", true},
		"checks without end": {func(e *evidence.E2E) {
			e.Checks = make([]evidence.Check, 513)
		}, "too long", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := passed(t)
			e.Profiles = append([]evidence.Profile{}, e.Profiles...)
			tc.change(e)
			_, err := e.Encode()
			require.ErrorContains(t, err, tc.says)
			require.Equal(t, fault.Verification, fault.CodeOf(err))
			data, err := json.MarshalIndent(e, "", "  ")
			require.NoError(t, err)
			_, err = evidence.Decode(path.Base(passed(t).Path()), append(data, '\n'))
			require.Equal(t, fault.Verification, fault.CodeOf(err))
			if tc.schema {
				require.Error(t, conforms(t, data))
			}
		})
	}
}

func TestWhatWasEditedByHand(t *testing.T) {
	t.Parallel()
	e := passed(t)
	name, data := path.Base(e.Path()), string(encoded(t, e))
	for what, tc := range map[string]struct{ name, data string }{
		"an unknown field":    {name, strings.Replace(data, `"at":`, `"passed": true,`+"\n  "+`"at":`, 1)},
		"a field twice":       {name, strings.Replace(data, `"at":`, `"at": "x",`+"\n  "+`"at":`, 1)},
		"another indentation": {name, strings.Replace(data, "\n  ", "\n    ", 1)},
		"more after its end":  {name, data + "{}"},
		"a field left out":    {name, strings.Replace(data, `"schema_version": "1",`, "", 1)},
		"another file's name": {"1.0.0-rc.1--1.0.0.json", data},
	} {
		_, err := evidence.Decode(tc.name, []byte(tc.data))
		require.Equal(t, fault.Verification, fault.CodeOf(err), what)
		require.ErrorContains(t, err, "catalog/evidence/"+tc.name, what)
	}
}

func claim(t *testing.T, p release.Profile) evidence.Claim {
	t.Helper()
	return evidence.Claim{Node: tag(t, "mero-tee-v1.0.0-rc.2"), Measurements: digest.Of([]byte("node")), Profile: p,
		Registers: registers(p, 1)}
}

func TestWhatATestVouchesFor(t *testing.T) {
	t.Parallel()
	locked := release.LockedReadOnly
	at := func(e *evidence.E2E) *evidence.Profile { return &e.Profiles[2] }
	for name, tc := range map[string]struct {
		change func(*evidence.E2E)
		claim  func(*evidence.Claim)
		code   fault.Code
		says   string
	}{
		"the good case": {code: fault.Success},
		"a check that does not apply": {change: func(e *evidence.E2E) {
			at(e).Checks = append(at(e).Checks, evidence.Check{Name: "a", Result: check.Inapplicable, Reason: "b"})
		}, code: fault.Success},
		"a platform that moved": {claim: func(c *evidence.Claim) {
			c.ImageAlone, c.Measurements, c.Registers.MRTD = true, digest.Digest{}, tdx.Register{9}
		}, code: fault.Success},
		"no test of this release": {claim: func(c *evidence.Claim) { c.Node.Version.Candidate = 3 },
			code: fault.MissingAsset, says: "no evidence of E2E of mero-tee-v1.0.0-rc.3"},
		"the stable one, where its candidate was tested": {claim: func(c *evidence.Claim) { c.Node.Version.Candidate = 0 },
			code: fault.MissingAsset, says: "no evidence of E2E of mero-tee-v1.0.0"},
		"a failed check of the profile": {change: func(e *evidence.E2E) { at(e).Checks[0].Result = check.Failed },
			code: fault.Verification, says: `failed: "node locked-read-only gets its key"`},
		"a skipped check of the profile": {change: func(e *evidence.E2E) { at(e).Checks[0].Result = check.Skipped },
			code: fault.Verification, says: `skipped: "node locked-read-only gets its key"`},
		"a failed check of another profile": {change: func(e *evidence.E2E) { e.Profiles[0].Checks[0].Result = check.Failed },
			code: fault.Verification, says: `failed: "node debug gets its key"`},
		"a failed check of all": {change: func(e *evidence.E2E) { e.Checks[1].Result = check.Failed },
			code: fault.Verification, says: `failed: "nothing is left behind"`},
		"no check of the profile": {change: func(e *evidence.E2E) { at(e).Checks = []evidence.Check{} },
			code: fault.Verification, says: "no check of profile locked-read-only was made"},
		"another profile alone": {change: func(e *evidence.E2E) { e.Profiles = e.Profiles[:2] },
			code: fault.Verification, says: "profile locked-read-only was not tested"},
		"a node that gave no quote": {change: func(e *evidence.E2E) { at(e).Node.Seen = nil },
			code: fault.Verification, says: "no node of profile locked-read-only was seen"},
		"other registers": {change: func(e *evidence.E2E) { r := registers(locked, 7); at(e).Node.Seen = &r },
			code: fault.Verification, says: "another mrtd was seen"},
		"another image on a platform that moved": {claim: func(c *evidence.Claim) {
			c.ImageAlone, c.Measurements, c.Registers.RTMR2 = true, digest.Digest{}, tdx.Register{9}
		}, code: fault.Verification, says: "another rtmr2 was seen"},
		"other bytes of the measurements": {claim: func(c *evidence.Claim) { c.Measurements = digest.Of([]byte("x")) },
			code: fault.Verification, says: "it is of other measurements"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, c := passed(t), claim(t, locked)
			if tc.change != nil {
				tc.change(e)
			}
			if tc.claim != nil {
				tc.claim(&c)
			}
			err := c.Judge([]*evidence.E2E{e})
			require.Equal(t, tc.code, fault.CodeOf(err), "%v", err)
			if tc.says != "" {
				var f *fault.Error
				require.ErrorAs(t, err, &f)
				require.Contains(t, f.Message+f.Got, tc.says)
				require.Contains(t, f.Hint, "-withoutE2E=REASON")
			}
		})
	}
}

// A test that failed stays on record beside one that passed.
func TestOneTestThatPassedIsEnough(t *testing.T) {
	t.Parallel()
	failed, c := passed(t), claim(t, release.Debug)
	failed.Checks[1].Result = check.Failed
	require.Equal(t, []string{"nothing is left behind"}, failed.Failed())
	require.Error(t, c.Judge([]*evidence.E2E{failed}))
	require.NoError(t, c.Judge([]*evidence.E2E{failed, passed(t)}))
}

func TestTheFolder(t *testing.T) {
	t.Parallel()
	e := passed(t)
	good := fstest.MapFS{"evidence.go": {}, evidence.SchemaFile: {Data: []byte("{}")},
		path.Base(e.Path()):      {Data: encoded(t, e)},
		"1.0.0--1.0.0-rc.3.json": {Data: []byte("of another node release: not read")}}
	node := tag(t, "mero-tee-v1.0.0-rc.2")
	tests, err := evidence.Tests(t.Context(), evidence.Folder{FS: good}, node)
	require.NoError(t, err)
	require.Equal(t, []*evidence.E2E{e}, tests)

	tests, err = evidence.Tests(t.Context(), evidence.Folder{FS: fstest.MapFS{}}, node)
	require.NoError(t, err)
	require.Empty(t, tests)

	for _, stranger := range []string{"1.0.0.json", "v1.0.0--1.0.0.json", "1.0--1.0.0.json", "1.0.0--1.0.0--1.0.0.json"} {
		_, err = evidence.Tests(t.Context(), evidence.Folder{FS: fstest.MapFS{stranger: {}}}, node)
		require.Equal(t, fault.Verification, fault.CodeOf(err), stranger)
	}
	good[path.Base(e.Path())].Data = []byte("{}")
	_, err = evidence.Tests(t.Context(), evidence.Folder{FS: good}, node)
	require.Equal(t, fault.Verification, fault.CodeOf(err), "what cannot be read is not left out")
}

func TestResultsAreRecordedOnOneLine(t *testing.T) {
	t.Parallel()
	c := evidence.Of(check.Fail("a\nname", fault.Verification, "the registers\tdiffer", "aa", "bb"))
	require.Equal(t, evidence.Check{Name: "a name", Result: check.Failed,
		Reason: "the registers differ (expected aa, got bb)"}, c)
	require.Equal(t, evidence.Check{Name: "a", Result: check.Passed}, evidence.Of(check.Pass("a")))
	long := evidence.Of(check.Skip("a", strings.Repeat("é", 5000)))
	require.Len(t, []rune(long.Reason), 2000)
}

func FuzzDecode(f *testing.F) {
	e := passed(f)
	f.Add(encoded(f, e))
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := evidence.Decode(path.Base(e.Path()), in)
		if err != nil {
			require.Equal(t, fault.Verification, fault.CodeOf(err))
			return
		}
		again, err := got.Encode()
		require.NoError(t, err)
		require.Equal(t, in, again, "one record, one form")
		require.NoError(t, conforms(t, in))
	})
}

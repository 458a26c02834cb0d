package steps_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/plan"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

// fill is a register of one digit, and registers are five of them.
func fill(digit byte) (r tdx.Register) {
	for i := range r {
		r[i] = digit
	}
	return r
}

func registers(digit byte) tdx.Registers {
	return tdx.Registers{MRTD: fill(digit), RTMR0: fill(digit), RTMR1: fill(digit), RTMR2: fill(digit), RTMR3: fill(digit)}
}

// hotfix is mero-tee-v2.0.1, which lacks its approval alone, published with other registers of one profile than the
// release that it patches, on main with these files.
func hotfix(t *testing.T, main map[string][]byte) (w *world, run int64) {
	t.Helper()
	w, run = promotable(t, trial{tag: "mero-tee-v2.0.1", counterpart: "mero-kms-v1.0.0", hotfixOf: "mero-tee-v2.0.0",
		pairs: []string{"1.0.0 2.0.0 tested", "1.0.0 2.0.1"}}, "1.0.0 2.0.0 tested")
	r := registers(9)
	now := measurement.Profile{MRTD: r.MRTD, RTMR0: r.RTMR0, RTMR1: r.RTMR1, RTMR2: r.RTMR2, RTMR3: &r.RTMR3}
	require.NoError(t, steps.WriteJSON(w.Work(steps.MovedFile), plan.Moved{release.Debug: {Now: now, Registers: true}}))
	if main == nil {
		require.NoError(t, w.GitHub.Unshare(t.Context(), "main"))
	} else {
		require.NoError(t, w.github.Push("refs/heads/main", other, main))
	}
	return w, run
}

// governed is main with the tuple in each policy, and the pair in the catalog.
func governed(t *testing.T, tuple tdx.Registers, pair catalog.Pair) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, p := range release.Profiles() {
		working := &policies.Working{SchemaVersion: "1", Profile: p, AllowedTCBStatus: []string{"UpToDate"},
			Revoked: []policies.Revocation{}, Measurements: []policies.Measurement{{
				NodeRelease: release.Tag{Family: release.Node, Version: release.Version{Major: 2}},
				Evidence:    digest.Of(nil).String(), Registers: tuple}}}
		data, err := working.Encode()
		require.NoError(t, err)
		files["policies/"+policies.File(p)] = data
	}
	c, err := catalog.Declare(&catalog.Catalog{SchemaVersion: catalog.SchemaVersion, Entries: []catalog.Entry{}}, pair, "")
	require.NoError(t, err)
	files[catalog.Path], err = c.Encode()
	require.NoError(t, err)
	return files
}

// "If MRTD changes, must update policy and catalog": a hotfix whose registers moved stays a pre-release until main has
// the very values, whatever else changed there.
func TestAHotfixWaitsForPolicyAndCatalog(t *testing.T) {
	t.Parallel()
	pair := catalog.Pair{KMS: release.Version{Major: 1}, NodeImage: release.Version{Major: 2, Patch: 1}}
	old := catalog.Pair{KMS: release.Version{Major: 1}, NodeImage: release.Version{Major: 2}}
	with := func(change func(files map[string][]byte)) map[string][]byte {
		files := governed(t, registers(9), pair)
		change(files)
		return files
	}
	mixed := registers(9)
	mixed.RTMR1 = fill(8)
	for name, tc := range map[string]struct {
		main map[string][]byte
		code fault.Code
		says string
	}{
		"policy of other values": {governed(t, mixed, pair), fault.Verification,
			"[FAIL] node:promote: hotfix: the policy follows the registers"},
		"policy as it was, in other white space": {with(func(files map[string][]byte) {
			before := governed(t, registers(1), pair)["policies/debug.json"]
			var compact any
			require.NoError(t, json.Unmarshal(before, &compact))
			data, err := json.Marshal(compact)
			require.NoError(t, err)
			files["policies/debug.json"] = data
		}), fault.Verification, "[FAIL] node:promote: hotfix: the policy follows the registers"},
		"policy of another profile alone": {with(func(files map[string][]byte) {
			files["policies/debug.json"] = governed(t, registers(1), pair)["policies/debug.json"]
		}), fault.Verification, "[FAIL] node:promote: hotfix: the policy follows the registers"},
		"catalog unchanged": {governed(t, registers(9), old), fault.Verification,
			"[FAIL] node:promote: hotfix: the catalog follows the registers"},
		"no catalog": {with(func(files map[string][]byte) { delete(files, catalog.Path) }), fault.MissingAsset, ""},
		"no policy":  {with(func(files map[string][]byte) { delete(files, "policies/debug.json") }), fault.MissingAsset, ""},
		"no main":    {nil, fault.MissingAsset, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, run := hotfix(t, tc.main)
			w.reviewed(t, run, "approved", "ben")
			err := w.promote(t)
			require.Equal(t, tc.code, fault.CodeOf(err), "%v", err)
			require.Contains(t, w.log.String(), tc.says)
			w.stays(t)
		})
	}
	w, run := hotfix(t, governed(t, registers(9), pair))
	w.reviewed(t, run, "approved", "ben")
	require.NoError(t, os.Rename(w.Work(steps.MovedFile), w.Work("elsewhere")))
	require.ErrorContains(t, w.promote(t), steps.MovedFile,
		"a hotfix without the record of what it moved is not promoted")
	w.stays(t)
	require.NoError(t, os.Rename(w.Work("elsewhere"), w.Work(steps.MovedFile)))
	require.NoError(t, w.promote(t), "nothing else was in the way")
	require.Contains(t, w.log.String(), "[PASS] node:promote: hotfix: the policy follows the registers")
	require.Contains(t, w.log.String(), "[PASS] node:promote: hotfix: the catalog follows the registers")
}

// A key service's registers follow in the platforms file.
func TestAHotfixWaitsForThePlatformsFile(t *testing.T) {
	t.Parallel()
	const file = measurement.PlatformsFile
	data, err := os.ReadFile(filepath.Join("..", "..", "..", file))
	require.NoError(t, err)
	platforms, err := measurement.DecodePlatforms(data)
	require.NoError(t, err)
	image, err := platforms.Chosen()
	require.NoError(t, err)
	changed := func(change func(*measurement.Platforms)) []byte {
		p, err := measurement.DecodePlatforms(data)
		require.NoError(t, err)
		change(p)
		out, err := p.Encode()
		require.NoError(t, err)
		return out
	}
	for name, tc := range map[string]struct {
		main []byte // the platforms file; none when empty
		code fault.Code
		says string
	}{
		"followed": {data, 0, ""},
		"none":     {nil, fault.MissingAsset, "a hotfix that moved measurements needs a file on main"},
		"broken":   {[]byte("{"), fault.Usage, "platforms file"},
		"of other registers": {changed(func(p *measurement.Platforms) {
			for i := range p.Images {
				p.Images[i].RTMR0 = fill(8)
			}
		}), fault.Verification, "main's platforms file does not have what this release measures"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, run := promotable(t, trial{tag: "mero-kms-v1.0.1", counterpart: "mero-tee-v2.0.0",
				hotfixOf: "mero-kms-v1.0.0", pairs: []string{"1.0.0 2.0.0 tested", "1.0.1 2.0.0"}}, "1.0.0 2.0.0 tested")
			w.reviewed(t, run, "approved", "ben")
			w.Env.PlatformFile = filepath.Join(w.Env.Root, file)
			now := measurement.Profile{MRTD: image.MRTD, RTMR0: image.RTMR0, RTMR1: image.RTMR1, RTMR2: image.RTMR2,
				Image: measurement.Image{OSImage: image.Image, OSImageHash: image.OSImageHash}}
			require.NoError(t, steps.WriteJSON(w.Work(steps.MovedFile),
				plan.Moved{release.LockedReadOnly: {Now: now, Registers: true}}))
			files := governed(t, registers(9), catalog.Pair{KMS: w.Tag.Version, NodeImage: release.Version{Major: 2}})
			if tc.main != nil {
				files[file] = tc.main
			}
			require.NoError(t, w.github.Push("refs/heads/main", other, files))
			err := w.promote(t)
			if tc.code == 0 {
				require.NoError(t, err)
				require.Contains(t, w.log.String(), "[PASS] kms:promote: hotfix: the policy follows the registers")
				return
			}
			require.Equal(t, tc.code, fault.CodeOf(err), "%v", err)
			require.Contains(t, w.log.String()+err.Error(), tc.says)
			w.stays(t)
		})
	}
}

// The run's page shows what the release stands on; text from outside stays in its code span.
func TestTheSummaryShowsWhatAReleaseStandsOn(t *testing.T) {
	t.Parallel()
	w := open(t, "mero-tee-v2.0.1")
	published, err := os.ReadFile(filepath.Join("..", "..", "attestation", "measurement", "testdata", "node.json"))
	require.NoError(t, err)
	w.stage(t, release.MeasurementsAsset, string(published))
	w.Env.Config.StepSummary = filepath.Join(t.TempDir(), "summary.md")
	require.NoError(t, steps.WriteJSON(w.Work(steps.PlanFile), map[string]any{"tag": w.Tag, "class": release.Stable}))
	report := func() string {
		require.NoError(t, os.WriteFile(w.Env.Config.StepSummary, nil, 0o600))
		require.NoError(t, w.Report(&pipeline.Run{Ledger: w.Ledger, Console: w.Console}))
		page, err := os.ReadFile(w.Env.Config.StepSummary)
		require.NoError(t, err)
		return string(page)
	}
	require.Contains(t, report(), "- TCB: `could not look at what the release stands on: no record of it here`")
	require.NoError(t, os.WriteFile(w.Work(steps.PostureFile), []byte(`[
  {
    "topic": "base image",
    "text": "pinned to v1; the family has `+"`v2`"+`",
    "heed": true
  }
]
`), 0o600))
	page := report()
	require.Contains(t, page, "- base image: `please look: pinned to v1; the family has 'v2'`")
	require.Equal(t, 1, strings.Count(page, "base image"))
}

package inspection_test

import (
	"context"
	"errors"
	"fmt"
	"path"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	records "github.com/calimero-network/mero-tee/catalog/evidence"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
	"github.com/calimero-network/mero-tee/policies/inspection"
)

// A promotion without E2E stays in sight, and fails nothing.
func TestAPromotionWithoutE2EIsNamed(t *testing.T) {
	t.Parallel()
	for _, why := range []string{"", "no TDX before Friday"} {
		w := &policies.Working{SchemaVersion: "1", Profile: release.Debug, AllowedTCBStatus: []string{"UpToDate"},
			Measurements: []policies.Measurement{}, Revoked: []policies.Revocation{}}
		promote := func() (*policies.Working, error) { return policies.Promote(w, evidence()) }
		if why != "" {
			promote = func() (*policies.Working, error) { return policies.PromoteUntested(w, evidence(), why) }
		}
		w, err := promote()
		require.NoError(t, err)
		data, err := w.Encode()
		require.NoError(t, err)
		results := inspection.File("debug.json", data, time.Now())
		require.NoError(t, results.Err())
		named := check.Skip("debug.json: E2E vouches for "+tag.String(), "promoted without it: "+why)
		if why == "" {
			require.Zero(t, results.Count(check.Skipped))
			continue
		}
		require.Contains(t, results, named)
		policy, err := policies.Generate(w, release.Version{Major: 1}, evidence())
		require.NoError(t, err)
		data, err = policy.Encode()
		require.NoError(t, err)
		named.Name = "released.json: E2E vouches for " + tag.String()
		require.Contains(t, inspection.File("released.json", data, time.Now()), named)
	}
}

// policy:check says of each measurement of the working policies whether E2E vouches for it.
func TestWhatE2EVouchesFor(t *testing.T) {
	t.Parallel()
	files, _ := folders(t)
	working, err := policies.LoadDir(files)
	require.NoError(t, err)
	kms := release.Tag{Family: release.KMS, Version: release.Version{Major: 1, Candidate: 1}}
	measurements, err := digest.Parse(evidence().Digest)
	require.NoError(t, err)
	some := digest.Of([]byte("some"))
	const commit = "0123456789abcdef0123456789abcdef01234567"
	for name, tc := range map[string]struct {
		profiles []release.Profile
		result   check.Status
		code     fault.Code
		failed   int
	}{
		"all":                      {release.Profiles(), check.Passed, fault.Success, 0},
		"a test that failed":       {release.Profiles(), check.Failed, fault.Verification, 3},
		"a test of one profile":    {release.Profiles()[:1], check.Passed, fault.Verification, 2},
		"a test that was not made": {nil, check.Passed, fault.MissingAsset, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &records.E2E{SchemaVersion: "1", Release: kms, At: "2026-11-26T21:00:00Z", Checks: []records.Check{},
				KMS:  records.Side{Release: kms, Commit: commit, Measurements: some},
				Node: records.Side{Release: tag, Commit: commit, Measurements: measurements}}
			for _, p := range tc.profiles {
				seen := evidence().Registers[p]
				m := records.Machine{Image: "image", Digest: some, Seen: &seen}
				e.Profiles = append(e.Profiles, records.Profile{Profile: p, Node: m,
					KMS:    records.Service{Machine: m, ComposeHash: some, Policy: some},
					Checks: []records.Check{{Name: "a key", Result: tc.result}}})
			}
			folder := fstest.MapFS{}
			if tc.profiles != nil {
				data, err := e.Encode()
				require.NoError(t, err)
				folder[path.Base(e.Path())] = &fstest.MapFile{Data: data}
			}
			results := inspection.Tested(t.Context(), working, records.Folder{FS: folder})
			require.Len(t, results, 3)
			require.Equal(t, tc.code, fault.CodeOf(results.Err()))
			require.Equal(t, tc.failed, results.Count(check.Failed))
		})
	}
}

// policy:check says of each measurement of the working policies whether its release publishes it.
func TestWhatNodeReleasesPublish(t *testing.T) {
	t.Parallel()
	files, _ := folders(t)
	working, err := policies.LoadDir(files)
	require.NoError(t, err)
	other := evidence()
	other.Digest = digest.Of([]byte("another file")).String()
	for name, tc := range map[string]struct {
		published policies.Published
		err       error
		result    check.Status
		code      fault.Code
	}{
		"the same":                  {policies.Published{tag: evidence()}, nil, check.Passed, fault.Success},
		"another file":              {policies.Published{tag: other}, nil, check.Failed, fault.Verification},
		"no such release":           {nil, nil, check.Failed, fault.Verification},
		"nobody was asked":          {nil, fmt.Errorf("%w: offline", policies.ErrNotAsked), check.Skipped, fault.Success},
		"an answer that never came": {nil, errors.New("connection refused"), check.Failed, fault.General},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ask := func(context.Context, []release.Tag) (policies.Published, error) { return tc.published, tc.err }
			results := inspection.Origins(t.Context(), working, ask, time.Now())
			require.NotEmpty(t, results)
			for _, r := range results {
				require.Equal(t, tc.result, r.Status, r.Reason)
			}
			require.Equal(t, tc.code, fault.CodeOf(results.Err()))
		})
	}
	require.Empty(t, inspection.Origins(t.Context(), map[release.Profile]*policies.Working{release.Debug: {},
		release.DebugReadOnly: {}, release.LockedReadOnly: {}}, nil, time.Now()), "nothing to ask")
}

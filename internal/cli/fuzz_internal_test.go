package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

// What people hand over as a quote is one, or it is refused: never half of each.
func FuzzUnwrap(f *testing.F) {
	for _, s := range []string{"\x04\x00raw", `{"quote":"0400","event_log":"[]"}`, `{"quoteB64":"BAA=","eventLog":[]}`,
		` {"quote":""}`, `{"quote":1}`, "{", `{"quote":"0400","quoteB64":"BAA="}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		raw, log, err := unwrap(data)
		if err != nil {
			return
		}
		if len(data) > 0 {
			require.NotEmpty(t, raw)
		}
		if events, err := readEvents(log); err != nil {
			require.Nil(t, events)
		}
	})
}

// Whatever GitHub says of an event, the auditor looks at one release, at the newest, or says why at none.
func FuzzTaskOf(f *testing.F) {
	f.Add("release", []byte(`{"release":{"tag_name":"mero-kms-v1.2.0"}}`))
	f.Add("workflow_dispatch", []byte(`{"inputs":{"tag":"mero-tee-v1.2.0-rc.1"}}`))
	f.Add("workflow_run", []byte(`{"workflow_run":{"head_branch":"mero-kms-v1.2.0","conclusion":"failure","event":"push",`+
		`"head_repository":{"full_name":"o/r"}}}`))
	f.Add("schedule", []byte(`{}`))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		var e event
		if json.Unmarshal(data, &e) != nil {
			return
		}
		task, err := taskOf(name, "o/r", &e)
		switch {
		case err != nil:
			require.Contains(t, []fault.Code{fault.Usage, fault.Verification}, fault.CodeOf(err))
		case task.recent:
			require.Equal(t, auditTask{recent: true}, task)
		case task.reason != "":
			require.True(t, task.tag.IsZero())
		default:
			again, err := release.ParseTag(task.tag.String())
			require.NoError(t, err)
			require.Equal(t, task.tag, again)
		}
	})
}

// A file is a working policy or a released one, whole.
func FuzzDecodeSide(f *testing.F) {
	for _, path := range []string{filepath.Join("../../policies", policies.File(release.Debug)),
		filepath.Join("../../policies/testdata", release.PolicyAsset(release.Debug))} {
		data, err := os.ReadFile(path)
		require.NoError(f, err)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if side, err := decodeSide(data); err == nil {
			_, err := release.ParseProfile(string(side.Profile))
			require.NoError(t, err)
		}
	})
}

package posture_test

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/pipeline/posture"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

var now = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func TestBase(t *testing.T) {
	t.Parallel()
	drift := image.Drift{Project: "p", Family: "ubuntu-2404-tdx", Pinned: "v1", Newest: "v2"}
	f := posture.Base(drift, nil)
	require.True(t, f.Heed)
	require.Contains(t, f.String(), "please look: the base image is pinned to v1; ubuntu-2404-tdx has v2")
	drift.Newest = "v1"
	f = posture.Base(drift, nil)
	require.False(t, f.Heed)
	require.Equal(t, "the base image v1 is the newest of ubuntu-2404-tdx", f.String())
	f = posture.Base(image.Drift{}, errors.New("no \x1bnetwork"))
	require.True(t, f.Unknown)
	require.Equal(t, `could not look at the family of the pinned base image: no \x1bnetwork`, f.String())
	f = posture.Base(image.Drift{}, nil)
	require.False(t, f.Heed || f.Unknown, "simulated images have none")
}

// A waiver is told of when it ends soon, and when it has ended; before that its own line in the notes suffices.
func TestAccepted(t *testing.T) {
	t.Parallel()
	list := func(until string) []posture.List {
		return []posture.List{{File: "policies/debug.json", List: tcb.List{AllowedTCBStatus: []string{"UpToDate"},
			TCBWaivers: []tcb.Waiver{{Status: "OutOfDate", Reason: "the fleet", Until: until}}}}}
	}
	for until, want := range map[string]string{"2027-06-01": "", "2026-12-26": "", "2026-12-25": "ends within 30 days",
		"2026-11-26": "ends within 30 days", "2026-11-25": "has ended"} {
		facts := posture.Accepted(list(until), now)
		require.Contains(t, facts[0].Text, "policies/debug.json accepts UpToDate")
		if want == "" {
			require.Len(t, facts, 1, until)
			continue
		}
		require.Len(t, facts, 2, until)
		require.True(t, facts[1].Heed)
		require.Contains(t, facts[1].Text, "the waiver of OutOfDate until "+until+" "+want)
	}
}

func TestShown(t *testing.T) {
	t.Parallel()
	require.Equal(t, posture.Fact{Topic: posture.TCB,
		Text: "the machines of debug showed UpToDate 2× when they were measured"},
		posture.Shown("the machines of debug", []string{"UpToDate", "UpToDate"}))
	f := posture.Shown("the machines of debug", []string{"UpToDate", "OutOfDate", "UpToDate"})
	require.True(t, f.Heed)
	require.Contains(t, f.Text, "OutOfDate 1×, UpToDate 2×")
	require.True(t, posture.Appraised(0).Unknown)
	require.Contains(t, posture.Appraised(6).Text, "judged 6 quotes")
}

func TestAge(t *testing.T) {
	t.Parallel()
	day := 24 * time.Hour
	node := release.Tag{Family: release.Node, Version: release.Version{Major: 1}}
	young := posture.Age("policies/debug.json", now.Add(-180*day), nil, now)
	require.False(t, young.Heed)
	require.Equal(t, "policies/debug.json changed last on 2026-05-30, 180 days before", young.Text)
	aged := posture.Age("policies/debug.json", now.Add(-181*day), &policies.Measurement{NodeRelease: node,
		FirstSeen: "2026-05-01"}, now)
	require.True(t, aged.Heed)
	require.Contains(t, aged.Text,
		"its newest measurement is of mero-tee-v1.0.0, first seen on 2026-05-01; older than 180 days")
	require.Contains(t, posture.Age("x", now.Add(-day), nil, now).Text, ", 1 day before")
	require.Contains(t, posture.Age("x", now.Add(day), nil, now).Text, ", 0 days before", "a clock that is behind")
}

func TestFactsAreOneBoundedLine(t *testing.T) {
	t.Parallel()
	f := posture.Unlooked(posture.TCB, "it", "a\nb\u2060"+strings.Repeat("ä", 5000))
	require.LessOrEqual(t, utf8.RuneCountInString(f.Text), 401)
	require.NotContains(t, f.Text, "\n")
	require.NotContains(t, f.Text, "\u2060")
}

package diff_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
	"github.com/calimero-network/mero-tee/policies/diff"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func node(t *testing.T, version string) release.Tag {
	t.Helper()
	v, err := release.ParseVersion(version)
	require.NoError(t, err)
	return release.Tag{Family: release.Node, Version: v}
}

func register(seed byte) tdx.Register {
	return tdx.Register(bytes.Repeat([]byte{seed}, tdx.RegisterSize))
}

func tuple(t *testing.T, version string, seed byte) policies.Measurement {
	t.Helper()
	return policies.Measurement{NodeRelease: node(t, version), Evidence: "sha256:" + strings.Repeat("1", 64),
		Registers: tdx.Registers{MRTD: register(0xa0), RTMR0: register(0xa1), RTMR1: register(0xb0), RTMR2: register(seed),
			RTMR3: tdx.ProfileRTMR3("debug")}}
}

func working(list ...policies.Measurement) *policies.Working {
	return &policies.Working{SchemaVersion: "1", Profile: release.Debug, AllowedTCBStatus: []string{"UpToDate"},
		Measurements: append([]policies.Measurement{}, list...), Revoked: []policies.Revocation{}}
}

// everything is a pair of policies in which each kind of change happens.
func everything(t *testing.T) (from, to diff.Side) {
	old, kept, refreshed := tuple(t, "1.0.0", 0x10), tuple(t, "1.1.0", 0x11), tuple(t, "1.1.0", 0x11)
	refreshed.FirstSeen, refreshed.MRTD = "2026-05-01", register(0xc0)
	before, after := working(old, kept), working(kept, refreshed, tuple(t, "1.2.0", 0x12))
	after.AllowedTCBStatus = []string{"SWHardeningNeeded", "OutOfDate"}
	after.TCBWaivers = []tcb.Waiver{{Status: "OutOfDate", Reason: "the fleet", Until: "2026-06-30"}}
	after.Revoked = []policies.Revocation{{NodeRelease: old.NodeRelease, Registers: old.Registers,
		Reason: "CVE-2026-1 | <b>@all\x1b[2J\n# x"}}
	return diff.Working(before), diff.Working(after)
}

func TestRowsNameEveryRegisterThatMoved(t *testing.T) {
	t.Parallel()
	rows := diff.Rows(diff.Working(working(tuple(t, "1.0.0", 0x10), tuple(t, "1.1.0", 0x11))),
		diff.Working(working(tuple(t, "1.0.0", 0x10), tuple(t, "1.1.0", 0x11), tuple(t, "1.2.0", 0x12))))
	require.Equal(t, []diff.Row{
		{Profile: release.Debug, Change: diff.Added, Subject: "mero-tee-v1.2.0", Register: "rtmr2",
			Before: register(0x11).String(), After: register(0x12).String()},
		{Profile: release.Debug, Change: diff.Added, Subject: "mero-tee-v1.2.0", Register: "mrtd, rtmr0, rtmr1, rtmr3",
			Before: "as mero-tee-v1.1.0", After: "the same"},
	}, rows)

	first := diff.Rows(diff.Working(working()), diff.Working(working(tuple(t, "1.0.0", 0x10))))
	require.Len(t, first, 5, "all five, when there is nothing to compare with")
	require.Empty(t, first[0].Before)
	gone := diff.Rows(diff.Working(working(tuple(t, "1.0.0", 0x10))), diff.Working(working()))
	require.Len(t, gone, 5)
	require.Equal(t, diff.Removed, gone[4].Change)
	require.Empty(t, diff.Rows(diff.Working(working()), diff.Working(working())))

	from, to := everything(t)
	back := diff.Rows(to, from)
	require.Equal(t, diff.Removed, back[len(back)-1].Change)
	require.Equal(t, "revocation of mero-tee-v1.0.0", back[len(back)-1].Subject, "a revocation that vanishes is seen")
}

func TestReleasedPolicies(t *testing.T) {
	t.Parallel()
	w := working()
	candidate, err := policies.Generate(w, release.Version{Major: 1, Candidate: 1}, policies.Evidence{})
	require.NoError(t, err)
	ev := policies.Evidence{Tag: node(t, "1.0.0"), Digest: "sha256:" + strings.Repeat("1", 64),
		Registers: map[release.Profile]tdx.Registers{release.Debug: tuple(t, "1.0.0", 0x10).Registers}}
	w, err = policies.Promote(w, ev)
	require.NoError(t, err)
	stable, err := policies.Generate(w, release.Version{Major: 1}, ev)
	require.NoError(t, err)
	rows := diff.Rows(diff.Released(candidate), diff.Released(stable))
	require.Equal(t, diff.Row{Profile: release.Debug, Change: diff.Moved, Subject: "kms_version", Before: "1.0.0-rc.1",
		After: "1.0.0"}, rows[0])
	mixed := diff.Rows(diff.Working(w), diff.Released(stable))
	require.Empty(t, mixed, "a working policy has no version and no status to differ in")
	require.Equal(t, diff.Row{Profile: release.Debug, Change: diff.Moved, Subject: "status", Before: "policy_not_ready",
		After: "in force"}, rows[1])
}

func TestGolden(t *testing.T) {
	t.Parallel()
	rows := diff.Rows(everything(t))
	var short, full bytes.Buffer
	require.NoError(t, diff.WriteTable(&short, rows, false))
	require.NoError(t, diff.WriteTable(&full, rows, true))
	for name, got := range map[string]string{"table.txt": short.String(), "full.txt": full.String(),
		"table.md": diff.Markdown(rows, false)} {
		golden := filepath.Join("testdata", name)
		if *update {
			require.NoError(t, os.MkdirAll("testdata", 0o755))
			require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
		}
		want, err := os.ReadFile(golden)
		require.NoError(t, err)
		require.Equal(t, string(want), got)
	}
	require.NotContains(t, short.String(), "\x1b")
	require.NotContains(t, diff.Markdown(rows, true), "@all")
	require.Contains(t, diff.Markdown(rows, true), "`"+register(0x12).String()+"`")

	var none bytes.Buffer
	require.NoError(t, diff.WriteTable(&none, nil, false))
	require.Equal(t, "no difference\n", none.String())
	require.Equal(t, "No difference.\n", diff.Markdown(nil, false))
}

// Whatever a reason says, it stays in its cell.
func FuzzCell(f *testing.F) {
	for _, s := range []string{"a|b", "\n# h", "`x`", `\|`, "<script>", "1234567890123456|"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := diff.Cell(s)
		require.NotContains(t, got, "\n")
		require.NotContains(t, got, "<")
		for i := range len(got) {
			if got[i] != '|' {
				continue
			}
			slashes := 0
			for j := i - 1; j >= 0 && got[j] == '\\'; j-- {
				slashes++
			}
			require.Equal(t, 1, slashes%2, "%q", got)
		}
	})
}

// What a release is admitted without is a row of its own, and so is its end.
func TestRowsNamePromotionsWithoutE2E(t *testing.T) {
	t.Parallel()
	tested := tuple(t, "1.1.0", 0x11)
	without, other := tested, tested
	without.WithoutE2E, other.WithoutE2E = "no TDX before Friday", "another reason"
	row := func(change diff.Change, before, after string) []diff.Row {
		return []diff.Row{{Profile: release.Debug, Change: change, Subject: "mero-tee-v1.1.0", Register: "without_e2e",
			Before: before, After: after}}
	}
	rows := func(from, to policies.Measurement) []diff.Row {
		return diff.Rows(diff.Working(working(from)), diff.Working(working(to)))
	}
	require.Equal(t, row(diff.Added, "", "no TDX before Friday"), rows(tested, without))
	require.Equal(t, row(diff.Moved, "no TDX before Friday", "another reason"), rows(without, other))
	require.Equal(t, row(diff.Moved, "no TDX before Friday", ""), rows(without, tested))
	require.Empty(t, rows(without, without))
	fresh := diff.Rows(diff.Working(working()), diff.Working(working(without)))
	require.Equal(t, row(diff.Added, "", "no TDX before Friday")[0], fresh[len(fresh)-1])
}

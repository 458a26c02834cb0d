package report_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline/report"
	"github.com/calimero-network/mero-tee/internal/release"
)

// hostile is what others may write into a commit subject, a file name or a reason.
const hostile = "x\" onload=alert(1) '><script>alert(1)</script><img src=https://example.org/x onerror=alert(2)>" +
	"{{.Tag}}<!--</style></details>\x1b[2J\u202egnp.\u200b"

func version(t testing.TB, s string) release.Version {
	t.Helper()
	v, err := release.ParseVersion(s)
	require.NoError(t, err)
	return v
}

// whole is a report with something in each of its parts, and hostile text wherever others write.
func whole(t testing.TB) *report.Report {
	t.Helper()
	at := time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)
	end := at.Add(40 * time.Minute)
	previous := release.Tag{Family: release.Node, Version: version(t, "1.3.0")}
	return &report.Report{SchemaVersion: report.SchemaVersion, Class: release.Stable, Commit: strings.Repeat("ab", 20),
		Tag:        release.Tag{Family: release.Node, Version: version(t, "1.4.0")},
		Repository: "calimero-network/mero-tee", Note: hostile, Previous: &previous,
		Outcome: report.Outcome{State: report.Stopped, Words: "Step node:e2e failed."},
		Facts:   []report.Fact{{Topic: "TCB", Text: hostile, Heed: true}, {Topic: "TCB", Text: "UpToDate 3×"}},
		Changes: []report.Change{{Commit: strings.Repeat("cd", 20), Subject: hostile}},
		Judgements: []report.Judgement{{Title: "Guards", Results: check.Results{
			check.Pass("the pair is declared"),
			check.Fail("the quote of "+hostile, fault.Verification, hostile, "one thing", "another").WithHint("look"),
			check.Skip("Trust Authority", hostile),
			check.NotApplicable("approval", "a candidate"),
			{Name: "a result without a status"},
		}}},
		Profiles: []report.Profile{profile(release.Debug, "11"), profile(release.LockedReadOnly, "22")},
		Assets: []report.Asset{{Name: hostile, Size: 7, Digest: "sha256:" + strings.Repeat("ef", 32)},
			{Name: "sbom.spdx.json", Size: 1 << 20, Digest: "sha256:" + strings.Repeat("01", 32),
				Signature: &report.Signature{Identity: "https://github.com/o/r/.github/workflows/w.yaml@refs/tags/t",
					Log: "aa", LogIndex: 1234, Time: at}}},
		Timeline: report.Timeline{Critical: []string{"node:version"}, Seconds: 90, Steps: []report.Step{
			{Name: "node:version", Title: "judging", State: "passed", Start: &at, Seconds: 90},
			{Name: "node:e2e", Title: "testing", State: "failed", Start: &end, Seconds: 4, Detail: hostile},
			{Name: "node:promote", Title: "promoting", State: "not run"}}},
		Unlooked: []string{"Whether " + hostile},
		Pairs: &catalog.Catalog{SchemaVersion: catalog.SchemaVersion, Entries: []catalog.Entry{{KMS: version(t, "2.0.0"),
			NodeImage: version(t, "1.4.0"), Profiles: release.Profiles(), Tested: true, Notes: hostile}}},
	}
}

func profile(name release.Profile, digits string) report.Profile {
	return report.Profile{Name: name, Image: "mero-tee-" + string(name), Digest: "sha256:" + strings.Repeat("00", 32),
		Boots: []report.Boot{{Time: time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC), TCB: "UpToDate", Appraised: true}},
		Registers: []report.Register{
			{Name: "MRTD", Value: strings.Repeat("33", 48), Owner: "the platform", Known: "observed in 3 boots that agreed"},
			{Name: "RTMR1", Value: strings.Repeat(digits, 48), Owner: "the image", Known: "computed",
				Was: strings.Repeat("44", 48), Moved: []string{hostile},
				Events: []report.Event{{Words: "UKI, Authenticode", Digest: strings.Repeat("55", 48)}, {Words: hostile}}},
		}}
}

func page(t testing.TB, r *report.Report) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, r.WritePage(&b))
	return b.String()
}

// elements are all of a page, in order.
func elements(t testing.TB, text string) []*html.Node {
	t.Helper()
	root, err := html.Parse(strings.NewReader(text))
	require.NoError(t, err)
	var out []*html.Node
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			out = append(out, n)
		}
	}
	return out
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// shown is the text that an element shows, its white space as a reader sees it.
func shown(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode && d.Parent.Data != "style" {
			b.WriteString(d.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

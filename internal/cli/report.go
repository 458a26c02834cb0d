package cli

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/pipeline/report"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/audit"
)

// Report writes the page of a release that was begun here, whatever became of
// it, and its path to w; with open it shows the page. It asks nobody.
func Report(ctx context.Context, w io.Writer, name string, open bool) error {
	tag, err := release.ParseTag(name)
	if err != nil {
		return err
	}
	space, err := locate()
	if err != nil {
		return err
	}
	_, page, err := reportIn(space.dist, tag)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(w, page); err != nil || !open {
		return err
	}
	if err := show(ctx, page); err != nil {
		newConsole().Warnf("no program here shows the page (%v): open it in a browser", err)
	}
	return nil
}

// reportIn writes the page of what dist holds of a release and returns its path.
func reportIn(dist string, tag release.Tag) (*report.Report, string, error) {
	r, err := steps.Recorded(dist, tag, planOf(tag.Family))
	if err != nil {
		return nil, "", err
	}
	page, err := steps.WriteReport(r, steps.Dir(dist, tag))
	return r, page, err
}

// report leaves the page of the release as it is now, whatever became of the
// command, and in a workflow its essence on the run's summary.
func (s *session) report() {
	if len(s.release.Ledger.Records()) == 0 {
		return
	}
	r, page, err := reportIn(s.release.Env.Dist, s.release.Tag)
	if err == nil {
		s.console.Infof("%-10s %s", "report", console.Path(page))
		err = s.release.Summarize(r.Essence())
	}
	if err != nil {
		s.console.Warnf("the report was not written: %v", err)
	}
}

// show hands a page to the program that this system shows pages with.
func show(ctx context.Context, page string) error {
	program := "xdg-open"
	if runtime.GOOS == "darwin" {
		program = "open"
	}
	path, err := filepath.Abs(page)
	if err != nil {
		return err
	}
	return exec.CommandContext(ctx, program, path).Run()
}

// writePage writes a stranger's page: what the audit found of the assets in dir.
func (o *operator) writePage(j Judgement, found *audit.Report, dir string) error {
	r := &report.Report{SchemaVersion: report.SchemaVersion, Tag: found.Tag, Commit: found.Commit,
		Repository: o.env.Config.Repository, Note: o.env.Banner, Outcome: verdict(found.Results),
		Facts: []report.Fact{}, Changes: []report.Change{}, Profiles: []report.Profile{},
		Judgements: []report.Judgement{{Title: "Verified by a stranger", Results: found.Results}},
		Timeline:   report.Timeline{Steps: []report.Step{}, Critical: []string{}}, Unlooked: j.unlooked(found)}
	var err error
	if r.Assets, err = report.AssetsIn(dir, report.Signatures(found.Signed)); err != nil {
		return err
	}
	if found.Results.Err() == nil && !j.Quick { // what does not stand, or was not looked at, is not explained
		if r.Profiles, err = report.Measured(dir, ""); err != nil {
			return err
		}
		report.Based(r.Profiles, found.Bases)
	}
	if err := file.Stream(j.Page, 0o644, r.WritePage); err != nil {
		return &fault.Error{Code: fault.Usage, Message: "the page cannot be written", Err: err}
	}
	o.console.Infof("the page: %s", console.Path(j.Page))
	return nil
}

// verdict is what a stranger may think of a release with these results.
func verdict(results check.Results) report.Outcome {
	say := func(s report.State, words string) report.Outcome { return report.Outcome{State: s, Words: words} }
	err := results.Err()
	if err == nil && results.Count(check.Skipped) == 0 {
		return say(report.Believed, "Every check passed. This page was written by whoever ran the verification.")
	}
	if code := fault.CodeOf(condemned(release.Tag{}, results, err)); err != nil && code != fault.General {
		return say(report.Refused, "It is not to be trusted: what is wrong stands below, first of all.")
	}
	return say(report.Undecided,
		"Nothing that was looked at is wrong, and something could not be looked at: it stands below, first of all.")
}

// unlooked is what this verification did not look at, a sentence each.
func (j Judgement) unlooked(found *audit.Report) []string {
	var out []string
	if j.Quick {
		out = append(out, "Policies, compose files, image records, boots and their quotes, SBOM and provenance: a quick "+
			"check was asked for.")
	}
	if j.Folder != "" {
		out = append(out, "Whether GitHub shows these files today, and what Intel says today: a folder was judged, and "+
			"nobody was asked.")
	}
	for _, r := range found.Results {
		if r.Status == check.Skipped {
			out = append(out, r.Name+": "+r.Reason)
		}
	}
	return append(out, "How the release was made: its guards and its end-to-end test are the publisher's to show.",
		"Whether the sources do what they should: that is for the people who read them.",
		"What runs: go tool mage verify:kms looks at a key service, verify:quote at any quote.")
}

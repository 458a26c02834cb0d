package steps

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/posture"
	"github.com/calimero-network/mero-tee/internal/pipeline/report"
	"github.com/calimero-network/mero-tee/internal/release"
)

// What is kept in work/ for the report: the results of each judgement, also of
// one that failed, and the commits that the notes list.
const (
	guardsFile  = "checks-guards.json"
	auditFile   = "checks-audit.json"
	e2eFile     = "checks-e2e.json"
	changesFile = "changes.json"
)

// keep writes the results of a judgement down, before anything follows from them.
func (r *Release) keep(name string, results check.Results) error {
	return WriteJSON(r.Work(name), results)
}

// Recorded is what dist/ holds of a release, whatever became of it. It asks
// nobody and changes nothing. g is the family's graph.
func Recorded(dist string, tag release.Tag, g pipeline.Graph) (*report.Report, error) {
	k := &kept{dir: Dir(dist, tag), tag: tag, out: &report.Report{SchemaVersion: report.SchemaVersion, Tag: tag,
		Facts: []report.Fact{}, Changes: []report.Change{}, Judgements: []report.Judgement{}}}
	records, err := pipeline.ReadRecords(k.dir)
	if err != nil {
		return nil, err
	}
	if len(records) == 0 {
		return nil, &fault.Error{Code: fault.MissingAsset, Message: "nothing is recorded here of " + tag.String(),
			Expected: console.Path(filepath.Join(k.dir, pipeline.LedgerName)), Got: "no ledger",
			Hint: "of a release that others made, `go tool mage verify:release " + tag.String() +
				" -report=FILE` writes the page"}
	}
	k.out.Commit = records[0].Commit
	for _, read := range []func() error{
		func() error { return k.timeline(g) }, k.plan, k.judgements, k.changes, k.assets, k.stands, k.pairs,
	} {
		if err := read(); err != nil {
			return nil, err
		}
	}
	k.unlooked()
	return k.out, nil
}

// kept is a release's folder in dist/, read for a report.
type kept struct {
	dir     string
	tag     release.Tag
	planned planRecord
	out     *report.Report
}

func (k *kept) work(name ...string) string {
	return filepath.Join(append([]string{k.dir, "work"}, name...)...)
}

// record reads a record that may not be there yet.
func (k *kept) record(name string, v any) error {
	err := ReadJSON(k.work(name), v)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (k *kept) timeline(g pipeline.Graph) error {
	status, err := g.Status(k.dir)
	if err != nil {
		return err
	}
	k.out.Timeline = report.TimelineOf(g, status.Steps)
	k.out.Outcome = k.out.Timeline.Verdict(k.tag.Family.Short()+":publish", g[len(g)-1].Name)
	return nil
}

func (k *kept) plan() error {
	if err := k.record(PlanFile, &k.planned); err != nil {
		return err
	}
	k.out.Class, k.out.Previous = k.planned.Class, k.planned.Previous
	k.out.Repository, k.out.Note = k.planned.Repository, k.planned.Note
	return nil
}

func (k *kept) judgements() error {
	for _, j := range []struct{ file, title string }{
		{guardsFile, "Guards, before anything was built"},
		{auditFile, "Audit of the public release"},
		{e2eFile, "End-to-end test of the public release"},
	} {
		var results check.Results
		if err := k.record(j.file, &results); err != nil {
			return err
		}
		if results != nil {
			k.out.Judgements = append(k.out.Judgements, report.Judgement{Title: j.title, Results: results})
		}
	}
	return nil
}

func (k *kept) changes() error { return k.record(changesFile, &k.out.Changes) }

// assets are those that are staged, with what the audit verified of them.
func (k *kept) assets() (err error) {
	var audited auditRecord
	if err = k.record(AuditFile, &audited); err != nil {
		return err
	}
	dir := filepath.Join(k.dir, "assets")
	if k.out.Assets, err = report.AssetsIn(dir, audited.Signed); err != nil {
		return err
	}
	before := ""
	if k.planned.Previous != nil {
		before = k.work("audited", k.planned.Previous.String())
	}
	k.out.Profiles, err = report.Measured(dir, before)
	report.Based(k.out.Profiles, audited.Bases)
	return err
}

// stands is what the release stands on, and who let it.
func (k *kept) stands() error {
	var facts []posture.Fact
	var approval approvalRecord
	if err := errors.Join(k.record(PostureFile, &facts), k.record(ApprovalFile, &approval)); err != nil {
		return err
	}
	add := func(topic string, heed bool, format string, args ...any) {
		k.out.Facts = append(k.out.Facts, report.Fact{Topic: topic, Text: fmt.Sprintf(format, args...), Heed: heed})
	}
	for _, a := range approval.Approvals {
		add("approved", false, "by %s, in %s; seen %s", a.By, approval.Run,
			approval.Seen.UTC().Format("2006-01-02 15:04 MST"))
	}
	for _, w := range k.planned.Waivers {
		add("waiver", true, "%s", w)
	}
	for _, u := range k.planned.Untested {
		add("untested", true, "%s", u)
	}
	for _, f := range facts {
		add(string(f.Topic), f.Heed || f.Unknown, "%s", f.Text)
	}
	return nil
}

// pairs is the staged catalog with what the end-to-end test found.
func (k *kept) pairs() error {
	staged, err := catalog.Read(k.work(CatalogFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var outcome e2eRecord
	if err := k.record(E2EFile, &outcome); err != nil {
		return err
	}
	k.out.Pairs, _, err = catalog.Update(staged, staged, staged, trials(outcome.Matrix))
	return err
}

// unlooked is what a reader could believe that somebody looked at.
func (k *kept) unlooked() {
	say := func(text string) { k.out.Unlooked = append(k.out.Unlooked, text) }
	have := map[string]bool{}
	for _, j := range []string{guardsFile, auditFile, e2eFile} {
		if _, err := os.Stat(k.work(j)); err == nil {
			have[j] = true
		}
	}
	if !have[guardsFile] {
		say("The guards: they have not run, or their results were not kept.")
	}
	if !have[auditFile] {
		say("The public release: no audit of it is recorded.")
	}
	if !have[e2eFile] {
		say("Whether it works: no end-to-end test is recorded.")
	}
	if k.planned.Previous == nil {
		say("What moved: there is no release before this one to compare with.")
	}
	say("Whether the sources do what they should: that is for the people who read them.")
	say("Anything after this release was made: " + cmp.Or(k.planned.Repository, "the repository") +
		" may have withdrawn it since, and Intel may have lowered a TCB level.")
}

// WriteReport writes report.json and report.html into a folder; it returns the page's path.
func WriteReport(r *report.Report, dir string) (page string, err error) {
	data, err := r.Encode()
	if err != nil {
		return "", err
	}
	page = filepath.Join(dir, pipeline.ReportPage)
	err = file.Write(filepath.Join(dir, pipeline.ReportData), data, 0o644)
	return page, errors.Join(err, file.Stream(page, 0o644, r.WritePage))
}

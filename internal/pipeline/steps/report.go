package steps

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/posture"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Report ends a whole release with what a person wants to know: on the
// console, and in a workflow also on the run's summary page.
func (r *Release) Report(run *pipeline.Run) error {
	var table bytes.Buffer
	if err := r.Console.Lines(func(w io.Writer) error { return run.Report(io.MultiWriter(w, &table)) }); err != nil {
		return err
	}
	facts, err := r.facts()
	if err != nil {
		return err
	}
	for _, f := range facts {
		r.Console.Infof("%-10s %s", f[0], f[1])
	}
	return r.Summarize(r.summary(table.String(), facts))
}

func (r *Release) facts() ([][2]string, error) {
	published, err := ReadMeasurements(r.Assets())
	if err != nil {
		return nil, err
	}
	out := [][2]string{{"released", r.Tag.String()}}
	if r.Env.Banner != "" {
		out = append(out, [2]string{"note", r.Env.Banner})
	}
	for _, profile := range release.Profiles() {
		reference, err := published.Profiles[profile].Image.Reference(r.Tag.Family)
		if err != nil {
			return nil, err
		}
		out = append(out, [2]string{"image", reference + " (" + string(profile) + ")"})
	}
	plan, err := r.planned()
	if err != nil {
		return nil, err
	}
	for _, w := range plan.Waivers {
		out = append(out, [2]string{"waiver", w})
	}
	for _, u := range plan.Untested {
		out = append(out, [2]string{"untested", u})
	}
	stands, err := r.standing()
	if err != nil {
		return nil, err
	}
	for _, f := range stands {
		out = append(out, [2]string{string(f.Topic), f.String()})
	}
	return append(out, [2]string{"assets", console.Path(r.Assets())},
		[2]string{"ledger", console.Path(filepath.Join(Dir(r.Env.Dist, r.Tag), pipeline.LedgerName))},
		[2]string{"verify", "go tool mage verify:release " + r.Tag.String()}), nil
}

// standing is what the notes say the release stands on, and how the end-to-end test's machines were appraised.
func (r *Release) standing() ([]posture.Fact, error) {
	facts, err := r.postured()
	if errors.Is(err, fs.ErrNotExist) {
		facts, err = []posture.Fact{posture.Unlooked(posture.TCB, "what the release stands on", "no record of it here")}, nil
	}
	if err != nil {
		return nil, err
	}
	var tested e2eRecord
	err = ReadJSON(r.Work(E2EFile), &tested)
	if errors.Is(err, fs.ErrNotExist) {
		return facts, nil
	}
	return append(facts, posture.Appraised(len(tested.Appraisals))), err
}

// summary is the part of a run's page that tells how long the steps took and what was released.
func (r *Release) summary(table string, facts [][2]string) string {
	var page strings.Builder
	fmt.Fprintf(&page, "## %s\n\n```text\n%s```\n\n", r.Tag, table)
	for _, fact := range facts {
		fmt.Fprintf(&page, "- %s: `%s`\n", fact[0], strings.ReplaceAll(console.Safe(fact[1]), "`", "'"))
	}
	return page.String() + "\n"
}

// Summarize appends Markdown to the file that GitHub Actions shows on the run's page; elsewhere there is none.
func (r *Release) Summarize(text string) error {
	path := r.Env.Config.StepSummary
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

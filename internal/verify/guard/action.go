package guard

import (
	"fmt"

	"github.com/rhysd/actionlint"
	"go.yaml.in/yaml/v4"
)

// metadata is what guard 4 needs of an action's file.
type metadata struct {
	Inputs map[string]struct {
		Default string
	}
	Runs struct {
		Using string
		Steps yaml.Node
	}
}

// action reads a local action. The steps of a composite one are those of a job,
// and are read as such; what other kinds run is code that the guard cannot read.
func (u *unit) action() {
	var a metadata
	if err := u.doc.Decode(&a); err != nil {
		u.refuse(1, "not an action that can be read: "+err.Error())
		return
	}
	if a.Runs.Using != "composite" {
		u.refuse(1, fmt.Sprintf("an action of kind %q, whose code is not read; a composite one is", a.Runs.Using))
		return
	}
	w, err := a.job()
	if err != nil {
		u.refuse(1, "not an action that can be read: "+err.Error())
		return
	}
	u.workflow(w)
	for name, in := range a.Inputs {
		u.values.add("inputs."+name, in.Default)
	}
}

// job is a workflow with one job that has the action's steps.
func (a metadata) job() (*actionlint.Workflow, error) {
	job := map[string]any{"runs-on": "x", "steps": &a.Runs.Steps}
	data, err := yaml.Marshal(map[string]any{"on": "push", "jobs": map[string]any{"composite": job}})
	if err != nil {
		return nil, err
	}
	w, errs := actionlint.Parse(data)
	if len(errs) > 0 {
		return nil, errs[0]
	}
	return w, nil
}

package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Kind is where a value is kept.
type Kind string

// The spec's two kinds, and what needs no setting up in a repository.
const (
	KindVariable Kind = "variable" // of the repository, or of its organisation
	KindSecret   Kind = "secret"   // in GitHub Secrets
	KindRuntime  Kind = "runtime"  // set by the runner, the workflow or a person's shell
)

// Variable is one thing that a release is told from outside.
type Variable struct {
	Name    string
	Kind    Kind
	Secret  bool   // its value is never shown
	Purpose string // what it is for
	Valid   string // what a value must be
	Default string // what counts when it is not set

	Needs       []string // steps that stop without it
	Uses        []string // steps that read it, and do without
	Alternative string   // another variable that may be set in its place

	set      func(*Config, string)
	get      func(*Config) string         // only of variables that the guards judge: see Judged
	validate func(*Config, string) string // says what is wrong with a value, without the value; "" is nothing
}

// Steps lists every step of the family that reads the variable.
func (v *Variable) Steps(f release.Family) []string { return of(f, v.Needs, v.Uses) }

// NeededBy lists the steps of the family that stop without it.
func (v *Variable) NeededBy(f release.Family) []string { return of(f, v.Needs) }

func of(f release.Family, lists ...[]string) []string {
	others := func(step string) bool { return !strings.HasPrefix(step, f.Short()+":") }
	return slices.DeleteFunc(slices.Concat(lists...), others)
}

// check is what Load says of a value, "" for one that is not set.
func (v *Variable) check(c *Config, value string) error {
	if v.Name == environmentName {
		return checkEnvironment(c, value)
	}
	if value == "" || v.validate == nil {
		return nil
	}
	why := v.validate(c, value)
	if why == "" {
		return nil
	}
	return &fault.Error{Code: fault.Usage, Message: v.Name + " is " + why, Expected: v.Valid, Got: v.shown(value),
		Hint: "`mage doctor` judges every variable and secret"}
}

// shown is a bad value as a message may repeat it.
func (v *Variable) shown(value string) string {
	switch {
	case v.Secret:
		return ""
	case strings.Contains(value, "@"):
		return "not shown: what stands before the @ may be a password"
	}
	return fmt.Sprintf("%.100q", value)
}

// checkEnvironment: CI never rehearses by accident, a laptop never releases by accident.
func checkEnvironment(c *Config, value string) error {
	switch {
	case value == Rehearsal, value == Production, value == "" && !c.Actions:
		return nil
	case value == "":
		return &fault.Error{Code: fault.Usage, Message: environmentName + " is not set in GitHub Actions",
			Expected: "production or rehearsal", Got: "nothing",
			Hint: "set env MERO_ENVIRONMENT in the workflow, so that CI never rehearses by accident"}
	}
	return &fault.Error{Code: fault.Usage, Message: environmentName + " is neither production nor rehearsal",
		Expected: "production or rehearsal", Got: fmt.Sprintf("%.100q", value)}
}

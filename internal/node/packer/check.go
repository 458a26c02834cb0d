package packer

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Validate lets Packer check the template with the variables of each profile.
// What it finds is the text of an error with code 10.
func (p *Packer) Validate(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "mero-validate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // scratch
	for _, profile := range release.Profiles() {
		file := filepath.Join(dir, string(profile)+".pkrvars.json")
		v, err := p.example(profile)
		if err != nil {
			return err
		}
		v.Output = dir
		if err := writeJSON(file, v); err != nil {
			return err
		}
		if err := p.judge(ctx, append(append([]string{"validate"}, p.varFiles(profile, file)...), p.template())); err != nil {
			return err
		}
	}
	return nil
}

// example is an order with everything that the template asks for and no more.
func (p *Packer) example(profile release.Profile) (*variables, error) {
	read, err := ReadProfile(p.root, profile)
	if err != nil {
		return nil, err
	}
	companions := make([]Companion, len(read.Companions))
	for i, name := range read.Companions {
		companions[i] = Companion{Name: name, Version: "0"}
	}
	o := Order{Profile: profile, Version: release.Version{Patch: 1}, ContentID: strings.Repeat("0", 64), Project: "example", Zone: "us-central1-a",
		InstanceName: "example", Labels: map[string]string{"owner": "mero-tee"}}
	return o.variables(companions)
}

// Format finds what `packer fmt` would change; the error has code 10.
func (p *Packer) Format(ctx context.Context) error {
	return p.judge(ctx, []string{"fmt", "-check", "-diff", "-recursive", p.template()})
}

// judge runs a command whose output is a finding when it fails.
func (p *Packer) judge(ctx context.Context, args []string) error {
	var said strings.Builder
	err := p.run(ctx, command{args: args, log: func(line string) { said.WriteString(line + "\n") }})
	if err != nil {
		return &fault.Error{Code: fault.Verification, Message: "packer " + args[0], Got: strings.TrimSpace(said.String()), Err: err}
	}
	return nil
}

func (p *Packer) varFiles(profile release.Profile, file string) []string {
	return []string{"-var-file=" + filepath.Join(p.template(), "base.pkrvars.hcl"), "-var-file=" + profileFile(p.root, profile), "-var-file=" + file}
}

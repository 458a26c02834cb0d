package packer

import (
	"context"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/release"
)

// BuildRequest is one image to be made.
type BuildRequest struct {
	Profile   release.Profile
	Version   release.Version
	Commit    string // 40 hex digits; may be empty
	ContentID string // of Inputs

	Project      string
	Zone         string
	ImageFamily  string            // may be empty
	InstanceName string            // of the build VM and its disk
	Labels       map[string]string // of the build VM
	SSHPort      int               // 0 means 22

	Agent           Companion   // the compiled agent: Name is mero-agent
	AgentBinary     string      // its path
	Predictor       Companion   // the compiled mero-predict, which runs in the build VM and is not in the image
	PredictorBinary string      // its path
	Companions      []Companion // those of the profile must be among them
	CompanionsDir   string      // a folder that has them by name
	TDXRoot         string      // see Inputs

	Output   string        // folder for what the build needs and leaves
	Env      []string      // NAME=value for Packer: GOOGLE_CREDENTIALS, HTTPS_PROXY, SSL_CERT_FILE…
	Deadline time.Duration // 0 means half an hour
	Log      func(line string)
}

// variables are those of the template; none is a secret.
type variables struct {
	Project       string            `json:"project"`
	Zone          string            `json:"zone"`
	ImageName     string            `json:"image_name"`
	ImageFamily   string            `json:"image_family"`
	ImageLabels   map[string]string `json:"image_labels"`
	InstanceName  string            `json:"instance_name"`
	Labels        map[string]string `json:"labels"`
	SSHPort       int               `json:"ssh_port,omitempty"`
	Release       release.Version   `json:"release"`
	Commit        string            `json:"commit"`
	ContentID     string            `json:"content_id"`
	Programs      []program         `json:"programs"`
	ProgramsDir   string            `json:"programs_dir"`
	ToolsDir      string            `json:"tools_dir"`
	TDXRoot       string            `json:"tdx_root_sha256"`
	Output        string            `json:"output"`
	GoogleCompute string            `json:"googlecompute_version"`
	AnsiblePlugin string            `json:"ansible_version"`
}

// program is what must lie in the image.
type program struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	SHA256  string `json:"sha256"` // 64 hex digits
}

// prepare checks what the order hands over and writes the files that the template reads.
func (p *Packer) prepare(o BuildRequest) (variablesFile string, err error) {
	profile, err := ReadProfile(p.root, o.Profile)
	if err != nil {
		return "", err
	}
	companions, err := choose(profile, o.Companions, func(c Companion) string { return c.Name })
	if err != nil {
		return "", err
	}
	programs := append([]Companion{o.Agent}, companions...)
	if err := o.stage(programs); err != nil {
		return "", err
	}
	binaries := make([]image.Binary, len(programs))
	for i, c := range programs {
		binaries[i] = c.binary()
	}
	if err := writeJSON(filepath.Join(o.Output, "binaries.json"), binaries); err != nil {
		return "", err
	}
	v, err := o.variables(programs)
	if err != nil {
		return "", err
	}
	variablesFile = filepath.Join(o.Output, "variables.pkrvars.json")
	return variablesFile, writeJSON(variablesFile, v)
}

// stage lays out the programs as they go over the image's root, and what runs in
// the build VM as it goes over its own, each checked as it is copied.
func (o BuildRequest) stage(programs []Companion) error {
	for _, dir := range []string{stagedPrograms, stagedTools} {
		if err := os.RemoveAll(filepath.Join(o.Output, dir)); err != nil {
			return err
		}
	}
	for _, c := range programs {
		from := filepath.Join(o.CompanionsDir, c.Name)
		if c.Name == o.Agent.Name {
			from = o.AgentBinary
		}
		if err := c.lay(filepath.Join(o.Output, stagedPrograms, filepath.FromSlash(image.Folder)), from); err != nil {
			return err
		}
	}
	return o.Predictor.lay(filepath.Join(o.Output, stagedTools, "run", "mero"), o.PredictorBinary)
}

// lay copies the program into a folder and checks the copy.
func (c Companion) lay(dir, from string) error {
	to := filepath.Join(dir, c.Name)
	if err := file.Copy(to, from, 0o755); err != nil {
		return &fault.Error{Code: fault.MissingAsset, Message: "program " + c.Name, Err: err}
	}
	return c.check(to)
}

const stagedPrograms, stagedTools = "programs", "tools"

func (o BuildRequest) variables(programs []Companion) (*variables, error) {
	name, err := image.Name(o.Profile, o.Version, o.ContentID)
	if err != nil {
		return nil, err
	}
	listed := make([]program, len(programs))
	for i, c := range programs {
		listed[i] = program{c.Name, c.Version, hex.EncodeToString(c.SHA256[:])}
	}
	return &variables{Project: o.Project, Zone: o.Zone, ImageName: name, ImageFamily: o.ImageFamily,
		ImageLabels: image.Labels(o.Profile, o.Version, o.ContentID), InstanceName: o.InstanceName, Labels: o.Labels,
		SSHPort: o.SSHPort,
		Release: o.Version, Commit: o.Commit, ContentID: o.ContentID, Programs: listed,
		ProgramsDir: filepath.Join(o.Output, stagedPrograms), ToolsDir: filepath.Join(o.Output, stagedTools),
		TDXRoot: o.TDXRoot, Output: o.Output, GoogleCompute: GoogleComputeVersion, AnsiblePlugin: AnsibleVersion}, nil
}

func writeJSON(path string, v any) error {
	data, err := canonical.Marshal(v)
	if err != nil {
		return err
	}
	return file.Write(path, data, 0o644)
}

// Validate lets Packer check the template with the variables of each profile.
// What it finds is the text of an error with code 10.
func (p *Packer) Validate(ctx context.Context) error {
	dir, remove, err := file.Temp("validate")
	if err != nil {
		return err
	}
	defer remove()
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
	o := BuildRequest{Profile: profile, Version: release.Version{Patch: 1}, ContentID: strings.Repeat("0", 64),
		Project: "example", Zone: "us-central1-a",
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
		return &fault.Error{Code: fault.Verification, Message: "packer " + args[0],
			Got: strings.TrimSpace(said.String()), Err: err}
	}
	return nil
}

func (p *Packer) varFiles(profile release.Profile, file string) []string {
	return []string{"-var-file=" + filepath.Join(p.template(), "base.pkrvars.hcl"),
		"-var-file=" + profileFile(p.root, profile), "-var-file=" + file}
}

package packer

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Base is the pinned image that every build starts from (packer/base.pkrvars.hcl).
type Base struct {
	Image   string
	Project string
	Family  string // where the pin came from; no build reads it
}

// Profile says what an image has (packer/profiles/*.pkrvars.hcl).
type Profile struct {
	Name       release.Profile
	Roles      []string
	Companions []string
}

var (
	baseForm = regexp.MustCompile(`^[a-z][a-z0-9-]*-v\d{8}[a-z]?$`)
	roleForm = regexp.MustCompile(`^[a-z][a-z-]*$`)
)

// ReadBase reads the pin and refuses one that is not exact.
func ReadBase(root string) (*Base, error) {
	v, err := readVariables(filepath.Join(root, "packer", "base.pkrvars.hcl"))
	if err != nil {
		return nil, &fault.Error{Code: fault.Usage, Message: "the pin of the base image cannot be read", Err: err}
	}
	b := &Base{Image: v.text("source_image"), Project: v.text("source_image_project"),
		Family: v.text("source_image_family")}
	if !baseForm.MatchString(b.Image) || b.Project == "" || b.Family == "" {
		return nil, &fault.Error{Code: fault.Usage, Message: "the base image is not pinned",
			Expected: "the name of one dated image, as in ubuntu-2604-resolute-amd64-v20260918, its project and its family",
			Got:      fmt.Sprintf("%q in %q, of family %q", b.Image, b.Project, b.Family),
			Hint:     "edit packer/base.pkrvars.hcl: a family moves by itself, and RTMR1 and RTMR2 with it"}
	}
	return b, nil
}

// ReadProfile reads what the images of a profile have.
func ReadProfile(root string, name release.Profile) (*Profile, error) {
	if _, err := release.ParseProfile(string(name)); err != nil {
		return nil, err
	}
	path := profileFile(root, name)
	v, err := readVariables(path)
	if err != nil {
		return nil, &fault.Error{Code: fault.Usage, Message: "profile " + string(name) + " cannot be read", Err: err}
	}
	p := &Profile{Name: name, Roles: v.list("roles"), Companions: v.list("companions")}
	if v.text("profile") != string(name) || len(p.Roles) == 0 {
		return nil, &fault.Error{Code: fault.Usage, Message: path, Expected: "profile " + string(name) + " and its roles",
			Got: fmt.Sprintf("profile %q, %d roles", v.text("profile"), len(p.Roles))}
	}
	for _, role := range p.Roles {
		if !roleForm.MatchString(role) {
			return nil, &fault.Error{Code: fault.Usage, Message: path, Expected: "names of roles", Got: fmt.Sprintf("%q", role)}
		}
	}
	return p, nil
}

func profileFile(root string, p release.Profile) string {
	return filepath.Join(root, "packer", "profiles", string(p)+".pkrvars.hcl")
}

// assignments are what a .pkrvars.hcl file assigns.
type assignments map[string]cty.Value

func readVariables(path string) (assignments, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	file, problems := hclsyntax.ParseConfig(data, path, hcl.InitialPos)
	if problems.HasErrors() {
		return nil, problems
	}
	attributes, problems := file.Body.JustAttributes()
	if problems.HasErrors() {
		return nil, problems
	}
	out := assignments{}
	for name, attribute := range attributes {
		if out[name], problems = attribute.Expr.Value(nil); problems.HasErrors() {
			return nil, fmt.Errorf("%s: %w", name, problems)
		}
	}
	return out, nil
}

// text is a string, or "" for what is missing or is no string.
func (a assignments) text(name string) string {
	v, ok := a[name]
	if !ok || v.IsNull() || v.Type() != cty.String {
		return ""
	}
	return v.AsString()
}

// list is a list of strings, or nil for what is missing or is none.
func (a assignments) list(name string) (out []string) {
	v, ok := a[name]
	if !ok || v.IsNull() || !v.CanIterateElements() {
		return nil
	}
	for _, element := range v.AsValueSlice() {
		if element.IsNull() || element.Type() != cty.String {
			return nil
		}
		out = append(out, element.AsString())
	}
	return out
}

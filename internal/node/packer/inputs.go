package packer

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Inputs are what decides an image, beside the repository's files.
type Inputs struct {
	Root       string // of the repository
	Profile    release.Profile
	Agent      digest.Digest
	Predictor  digest.Digest
	Companions []Pin  // those of the profile must be among them
	TDXRoot    string // digest of the TDX root that the agent believes; empty means Intel's
}

// ContentID is SHA-256 over everything that decides the image, as 64 hex
// digits: the template, the base's pin, the profile's variables and the files
// of its roles, the agent, the profile's companions, and the program that predicts
// what the image measures: another prediction is another record. What another
// profile alone uses does not count.
func (i Inputs) ContentID() (string, error) {
	profile, err := ReadProfile(i.Root, i.Profile)
	if err != nil {
		return "", err
	}
	companions, err := choose(profile, i.Companions, func(p Pin) string { return p.Name })
	if err != nil {
		return "", err
	}
	files, err := i.files(profile)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, name := range files {
		if err := hashInto(h, i.Root, name); err != nil {
			return "", err
		}
	}
	fmt.Fprintf(h, "agent %s\npredictor %s\ntdx root %q\n", i.Agent, i.Predictor, i.TDXRoot)
	for _, c := range companions {
		fmt.Fprintf(h, "companion %q %q %s %q\n", c.Name, c.Version, c.SHA256, c.Member)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// files are the paths below root that decide the image, sorted.
func (i Inputs) files(p *Profile) ([]string, error) {
	files := []string{"ansible/ansible.cfg", "ansible/node.yml", "packer/base.pkrvars.hcl", "packer/node.pkr.hcl",
		"packer/variables.pkr.hcl", "packer/profiles/" + string(p.Name) + ".pkrvars.hcl"}
	for _, role := range p.Roles {
		found, err := roleFiles(i.Root, role)
		if err != nil {
			return nil, err
		}
		files = append(files, found...)
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}

// Sources of programs lie in the role that uses each; the program's digest stands for them.
const (
	AgentSources     = "ansible/roles/agent/files/mero-agent"
	PredictorSources = "ansible/roles/disk/files/mero-predict"
)

func roleFiles(root, role string) (files []string, err error) {
	top := filepath.Join(root, "ansible", "roles", role)
	err = filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		switch name = filepath.ToSlash(name); {
		case name == AgentSources, name == PredictorSources:
			return fs.SkipDir
		case !d.IsDir():
			files = append(files, name)
		}
		return nil
	})
	return files, err
}

// hashInto counts a file's name, whether it can be run, and its content; of a link its target.
func hashInto(h io.Writer, root, name string) error {
	path := filepath.Join(root, filepath.FromSlash(name))
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		target, err := os.Readlink(path)
		if err == nil {
			_, err = fmt.Fprintf(h, "link %q %q\n", name, target)
		}
		return err
	}
	sum, _, err := digest.OfFile(path)
	if err == nil {
		_, err = fmt.Fprintf(h, "file %q %t %s\n", name, info.Mode()&0o111 != 0, sum.Hex())
	}
	return err
}

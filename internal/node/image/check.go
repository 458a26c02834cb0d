package image

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

var (
	commitForm  = regexp.MustCompile(`^[0-9a-f]{40}$`)
	modeForm    = regexp.MustCompile(`^[0-7]{4}$`)
	ownerForm   = regexp.MustCompile(`^\d{1,10}:\d{1,10}$`)
	pathForm    = regexp.MustCompile(`^(/[^/\x00-\x1f\x7f]+)+$`)
	textForm    = regexp.MustCompile(`^[^\x00-\x1f\x7f]+$`)
	packageForm = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]*$`)
	versionForm = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.+:~-]*$`) // deb-version(7), and our own of simulated packages
)

// findings collects everything that is wrong, so that one error never hides another.
type findings []string

func (f *findings) say(ok bool, format string, args ...any) {
	if !ok {
		*f = append(*f, fmt.Sprintf(format, args...))
	}
}

// Check judges the record. The error has code 10 and lists every finding.
func (r *Record) Check() error {
	var f findings
	f.say(r.SchemaVersion == SchemaVersion, "schema_version is %q, not %q", r.SchemaVersion, SchemaVersion)
	f.say(r.Commit == "" || commitForm.MatchString(r.Commit), "commit %.60q is not 40 hex digits", r.Commit)
	r.checkImage(&f)
	r.checkBoot(&f)
	r.checkPackages(&f)
	r.checkFiles(&f)
	r.checkBinaries(&f)
	f.say(r.Content == digest.Of(r.Manifest()), "packages and files do not give content %s", r.Content)
	for name, version := range r.Tools.versions() {
		f.say(textForm.MatchString(version), "the version of %s is missing", name)
	}
	if len(f) == 0 {
		return nil
	}
	slices.Sort(f)
	return fault.Mismatch("the image record says what cannot be", "a complete record of one image", strings.Join(f, "; "))
}

func (r *Record) checkImage(f *findings) {
	_, err := release.ParseProfile(string(r.Profile))
	f.say(err == nil, "profile %.60q is unknown", string(r.Profile))
	f.say(r.Version != release.Version{}, "the version is missing")
	name, err := Name(r.Profile, r.Version, r.ContentID)
	f.say(err == nil && name == r.Image.Name, "image %.80q is not called %q", r.Image.Name, name)
	f.say(textForm.MatchString(r.Image.Project), "the image's project is missing")
	f.say(strings.HasSuffix(r.Image.SelfLink, "/projects/"+r.Image.Project+"/global/images/"+r.Image.Name),
		"self link %.200q is not that of the image", r.Image.SelfLink)
	f.say(textForm.MatchString(r.Base.Name) && textForm.MatchString(r.Base.Project),
		"the base image has no name or no project")
}

// checkBoot: the predicted events are consistent, and the command line that they
// measure is that of this profile, this content and this root: each of these
// parameters must be there once.
func (r *Record) checkBoot(f *findings) {
	if err := r.Boot.Check(); err != nil {
		f.say(false, "what is said of its boot: %s", explained(err))
	}
	values := map[string][]string{}
	for parameter := range strings.FieldsSeq(r.Boot.CommandLine) {
		key, value, _ := strings.Cut(parameter, "=")
		values[key] = append(values[key], value)
	}
	for key, value := range map[string]string{"mero.profile": string(r.Profile), "mero.content": r.Content.Hex(),
		"roothash": r.Boot.RootHash.Hex(), "systemd.verity_root_options": "panic-on-corruption"} {
		f.say(slices.Equal(values[key], []string{value}), "the kernel command line has %s=%.100q, not once %s", key,
			values[key], value)
	}
	f.say(!r.Boot.RootHash.IsZero(), "the root hash is missing")
	f.say(r.Profile == release.Debug || len(values["systemd.volatile"]) == 0, "the root of %s takes writes", r.Profile)
	f.say(r.Profile == release.Debug || !slices.Contains(values["console"], "ttyS0,115200"),
		"%s has a serial console", r.Profile)
}

// explained is an error with what was found, where it says so apart.
func explained(err error) string {
	var f *fault.Error
	if errors.As(err, &f) && f.Got != "" {
		return err.Error() + ": " + f.Got
	}
	return err.Error()
}

func (r *Record) checkPackages(f *findings) {
	f.say(len(r.Packages) > 0, "no package is listed")
	if _, err := r.Distribution(); err != nil {
		f.say(false, "%s", explained(err))
	}
	for i, p := range r.Packages {
		f.say(packageForm.MatchString(p.Name) && versionForm.MatchString(p.Version) &&
			packageForm.MatchString(p.Architecture),
			"package %.60q is incomplete", p.Name)
		f.say(packageForm.MatchString(p.Source) && versionForm.MatchString(p.SourceVersion),
			"package %.60q has no source, or no version of it", p.Name)
		f.say(i == 0 || comparePackages(r.Packages[i-1], p) < 0, "package %.60q is out of order, or listed twice", p.Name)
	}
}

func (r *Record) checkFiles(f *findings) {
	f.say(len(r.Files) > 0, "no file is listed")
	for i, file := range r.Files {
		f.say(pathForm.MatchString(file.Path) && path.Clean(file.Path) == file.Path, "path %.200q is not absolute and clean",
			file.Path)
		f.say(file.isLink() || file.isRegular(), "file %.200q is incomplete", file.Path)
		f.say(i == 0 || r.Files[i-1].Path < file.Path, "file %.200q is out of order, or listed twice", file.Path)
	}
}

func (f File) isLink() bool {
	return textForm.MatchString(f.Target) && f.SHA256.IsZero() && f.Mode == "" && f.Owner == ""
}

func (f File) isRegular() bool {
	return f.Target == "" && !f.SHA256.IsZero() && modeForm.MatchString(f.Mode) && ownerForm.MatchString(f.Owner)
}

func (r *Record) checkBinaries(f *findings) {
	f.say(len(r.Binaries) > 0, "no binary is listed")
	for i, b := range r.Binaries {
		f.say(packageForm.MatchString(strings.ReplaceAll(b.Name, "_", "-")) && textForm.MatchString(b.Version) &&
			textForm.MatchString(b.Source), "binary %.60q is incomplete", b.Name)
		f.say(i == 0 || r.Binaries[i-1].Name < b.Name, "binary %.60q is out of order, or listed twice", b.Name)
		at := slices.IndexFunc(r.Files, func(file File) bool { return file.Path == Folder+"/"+b.Name })
		f.say(at >= 0 && r.Files[at].SHA256 == b.SHA256, "binary %.60q is not in %s with this digest", b.Name, Folder)
	}
}

func (t Tools) versions() map[string]string {
	return map[string]string{"packer": t.Packer, "googlecompute": t.GoogleCompute, "ansible_plugin": t.AnsiblePlugin,
		"ansible": t.Ansible}
}

package sbom

import (
	"debug/buildinfo"
	"errors"
	"fmt"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spdx/tools-golang/spdx"
	"github.com/spdx/tools-golang/spdx/v2/common"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// module is a Go module as debug/buildinfo and syft both name it.
type module struct{ path, version string }

// modulesOf lists what the binary at path was linked from. The main module has
// no version: a build from a work tree records none.
func modulesOf(path string) ([]module, error) {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return nil, err
	}
	version, _, _ := strings.Cut(info.GoVersion, " ") // "go1.26.8 X:experiment"
	modules := []module{{path: info.Main.Path}, {"stdlib", version}}
	for _, dep := range info.Deps {
		modules = append(modules, linked(dep))
	}
	return modules, nil
}

// linked names what was linked, not what was asked for. A module replaced by a
// local folder keeps its path and has no version, as in syft's documents.
func linked(dep *debug.Module) module {
	switch r := dep.Replace; {
	case r == nil:
		return module{dep.Path, dep.Version}
	case strings.HasPrefix(r.Path, ".") || strings.HasPrefix(r.Path, "/"):
		return module{path: dep.Path}
	default:
		return module{r.Path, r.Version}
	}
}

// checkBinary wants the file with the binary's digest, and every module among
// the packages that syft found in that very file.
func checkBinary(doc *spdx.Document, path string) error {
	modules, err := modulesOf(path)
	if err != nil {
		return &fault.Error{Code: fault.Usage, Message: "not a Go binary: " + path, Err: err}
	}
	sum, _, err := digest.OfFile(path)
	if err != nil {
		return err
	}
	files := filesWith(doc, sum.Hex())
	if len(files) == 0 {
		return fault.Mismatch("SBOM: the binary is not in it: "+filepath.Base(path),
			"a file with "+sum.String(), fmt.Sprintf("%d other files", len(doc.Files)))
	}
	listed := packagesIn(doc, files)
	var problems []error
	for _, m := range modules {
		if !listed[m] {
			problems = append(problems, fault.Mismatch(fmt.Sprintf("SBOM: Go module missing: %s %s", m.path, m.version),
				"every module that "+filepath.Base(path)+" was linked from", "absent"))
		}
	}
	return errors.Join(problems...)
}

func filesWith(doc *spdx.Document, digest string) map[common.ElementID]bool {
	ids := map[common.ElementID]bool{}
	for _, f := range doc.Files {
		if sha256Of(f.Checksums) == digest {
			ids[f.FileSPDXIdentifier] = true
		}
	}
	return ids
}

// packagesIn collects the Go packages whose existence one of the files proves,
// each with its version, and the same path without version for a main module.
func packagesIn(doc *spdx.Document, files map[common.ElementID]bool) map[module]bool {
	const evidence = "evident-by" // syft's word, in the comment of an OTHER relationship
	in := map[common.ElementID]bool{}
	for _, r := range doc.Relationships {
		if r.Relationship == common.TypeRelationshipOther && strings.HasPrefix(r.RelationshipComment, evidence) &&
			files[r.RefB.ElementRefID] {
			in[r.RefA.ElementRefID] = true
		}
	}
	listed := map[module]bool{}
	for _, p := range doc.Packages {
		if in[p.PackageSPDXIdentifier] && slices.ContainsFunc(p.PackageExternalReferences, isGoModule) {
			listed[module{p.PackageName, p.PackageVersion}] = true
			listed[module{path: p.PackageName}] = true
		}
	}
	return listed
}

func isGoModule(r *spdx.PackageExternalReference) bool {
	return r != nil && strings.HasPrefix(r.Locator, "pkg:golang/")
}

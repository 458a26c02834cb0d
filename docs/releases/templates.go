// Package releases holds what people write for a release: one file for each
// tag, made from the template of its class.
//
// Its promise: every class has a template, and the template alone never counts
// as written (internal/pipeline/notes tests it).
package releases

import (
	"embed"
	"path"
	"strings"

	"github.com/calimero-network/mero-tee/internal/release"
)

// Dir is where the files are in the repository.
const Dir = "docs/releases"

//go:embed templates
var templates embed.FS

// File is the name of a tag's file in Dir.
func File(tag release.Tag) string { return tag.String() + ".md" }

// Path is the tag's file in the repository.
func Path(tag release.Tag) string { return path.Join(Dir, File(tag)) }

// Template is what a tag's file starts from.
func Template(c release.Class, tag release.Tag) (string, error) {
	data, err := templates.ReadFile("templates/" + string(c) + ".md")
	return strings.ReplaceAll(string(data), "{tag}", tag.String()), err
}

package lint

import (
	"bytes"
	"fmt"
	"go/format"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// unformatted lists the files that gofmt would change. It is gofmt's own code,
// so the compiler that builds this decides, not what is on the PATH.
func unformatted(root string, files []string) (string, error) {
	var lines []string
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		name, err := filepath.Rel(root, file)
		if err != nil {
			return "", err
		}
		formatted, err := format.Source(source)
		if err != nil {
			lines = append(lines, fmt.Sprintf("%s: %v", name, err))
		} else if !bytes.Equal(source, formatted) {
			lines = append(lines, name+": not formatted: run gofmt -w "+name)
		}
	}
	return strings.Join(lines, "\n"), nil
}

// hasSource says whether any of the files lies under dir.
func hasSource(dir string, files []string) bool {
	return slices.ContainsFunc(files, func(f string) bool { return strings.HasPrefix(f, dir+string(filepath.Separator)) })
}

package console

import (
	"os"
	"path/filepath"
)

// Path is how a person in the working directory would write path: relative
// when it lies below, as it is otherwise.
func Path(path string) string {
	dir, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(dir, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}

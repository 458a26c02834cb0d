package audit

import (
	"context"
	"io"
	"os"
)

// Folder is a release that lies in a folder: the staged assets of a
// publisher, or what somebody downloaded by other means.
type Folder struct{ Dir string }

// Assets lists the regular files of the folder. A symbolic link is not listed,
// nor is a hidden file: no release has one.
func (f Folder) Assets(context.Context) ([]Asset, error) {
	entries, err := os.ReadDir(f.Dir)
	if err != nil {
		return nil, err
	}
	var out []Asset
	for _, e := range entries {
		if info, err := e.Info(); err == nil && e.Type().IsRegular() && e.Name()[0] != '.' {
			out = append(out, Asset{Name: e.Name(), Size: info.Size()})
		}
	}
	return out, nil
}

// Fetch copies one file.
func (f Folder) Fetch(_ context.Context, name string, w io.Writer) error {
	root, err := os.OpenRoot(f.Dir)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // read only
	file, err := root.Open(name)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // read only
	_, err = io.Copy(w, file)
	return err
}

package cli

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/release"
)

// CatalogCheck judges the compatibility catalog: one line per check, and one
// for the tags of each pair.
func CatalogCheck(ctx context.Context) error {
	w, err := configure()
	if err != nil {
		return err
	}
	data, err := catalog.ReadBytes(w.catalogPath())
	if err != nil {
		return err
	}
	return w.operate(ctx, func(o *operator) error {
		listed, err := o.github.Tags(ctx)
		if err != nil {
			return err
		}
		var tags []release.Tag
		for _, t := range listed {
			if tag, err := release.ParseTag(t.Name); err == nil { // others' tags are not our matter
				tags = append(tags, tag)
			}
		}
		return catalog.Inspect(data, tags).Report(o.console)
	})
}

// CatalogShow writes the matrix of KMS by node-image versions, and as a
// picture into the file svg unless that is empty.
func CatalogShow(w io.Writer, svg string) error {
	space, err := configure()
	if err != nil {
		return err
	}
	c, err := catalog.Read(space.catalogPath())
	if err != nil {
		return err
	}
	if err := c.Matrix().WriteTable(w); err != nil || svg == "" {
		return err
	}
	newConsole().Infof("writing %s", console.Path(svg))
	return file.Write(svg, c.Matrix().SVG(), 0o644)
}

// CatalogDocs writes the page and the picture that show the catalog, as a change
// of the catalog brings them along.
func CatalogDocs() error {
	w, err := configure()
	if err != nil {
		return err
	}
	c, err := catalog.Read(w.catalogPath())
	if err != nil {
		return err
	}
	docs, err := w.catalogDocs(c)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(docs)) {
		newConsole().Infof("writing %s", name)
		if err := file.Write(filepath.Join(w.root, name), docs[name], 0o644); err != nil {
			return err
		}
	}
	return nil
}

// catalogDocs are the page and the picture of a catalog; what else stands on the page stays.
func (w *workspace) catalogDocs(c *catalog.Catalog) (map[string][]byte, error) {
	page, err := os.ReadFile(filepath.Join(w.root, catalog.PagePath))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return c.Docs(page), nil
}

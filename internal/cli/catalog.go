package cli

import (
	"context"
	"io"

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
	data, err := readJSON(w.catalogPath())
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
	data, err := readJSON(space.catalogPath())
	if err != nil {
		return err
	}
	c, err := catalog.Decode(data)
	if err != nil {
		return err
	}
	if err := c.Matrix().WriteTable(w); err != nil || svg == "" {
		return err
	}
	newConsole().Infof("writing %s", console.Path(svg))
	return file.Write(svg, c.Matrix().SVG(), 0o644)
}

package cli

import (
	"cmp"
	"context"
	"io"
	"os"
	"path/filepath"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// CatalogCheck judges the compatibility catalog: one line per check, and one
// for the tags of each pair.
func CatalogCheck(ctx context.Context) error { return report("catalog:check", checkCatalog(ctx)) }

func checkCatalog(ctx context.Context) error {
	data, err := readCatalog()
	if err != nil {
		return err
	}
	o, err := openOperator(ctx)
	if err != nil {
		return err
	}
	defer o.world.Close() //nolint:errcheck // nothing was written
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
}

// CatalogShow writes the matrix of KMS by node-image versions, and as a
// picture into the file svg unless that is empty.
func CatalogShow(w io.Writer, svg string) error {
	return report("catalog:show", showCatalog(w, svg))
}

func showCatalog(w io.Writer, svg string) error {
	data, err := readCatalog()
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
	Console().Infof("writing %s", console.Path(svg))
	return file.Write(svg, c.Matrix().SVG(), 0o644)
}

// readCatalog reads the catalog of the work tree, where COMPATIBILITY_CATALOG_PATH says.
func readCatalog() ([]byte, error) {
	p, err := here()
	if err != nil {
		return nil, err
	}
	cfg, err := config.Load(os.LookupEnv)
	if err != nil {
		return nil, err
	}
	path := cmp.Or(cfg.CatalogPath, catalog.Path)
	if !filepath.IsAbs(path) {
		path = filepath.Join(p.root, path)
	}
	return readJSON(path)
}

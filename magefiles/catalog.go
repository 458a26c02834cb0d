//go:build mage

package main

import (
	"context"
	"os"

	"github.com/magefile/mage/mg"

	"github.com/calimero-network/mero-tee/internal/cli"
)

// Catalog looks at the compatibility catalog.
type Catalog mg.Namespace

// Check judges the catalog: shape, order, duplicates, profiles, and that the tags of tested pairs exist; exit 10 when
// something fails.
func (Catalog) Check(ctx context.Context) error {
	return cli.Exit("catalog:check", cli.CatalogCheck(ctx))
}

// Show prints which key services work with which node images. [-svg=FILE: draw it too]
func (Catalog) Show(svg *string) error {
	return cli.Exit("catalog:show", cli.CatalogShow(os.Stdout, cli.Value(svg)))
}

// Docs writes docs/catalog.md and docs/compatibility.svg from the catalog; a change of the catalog brings them along.
func (Catalog) Docs() error { return cli.Exit("catalog:docs", cli.CatalogDocs()) }

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

// Show prints which key services work with which node images.
//
//	-svg=FILE    draw the same as a picture, too
//
// Needs: nothing; the catalog is catalog/compatibility-catalog.json, or what COMPATIBILITY_CATALOG_PATH names.
// Leaves: nothing but FILE.
// See: docs/catalog.md
// Example: go tool mage catalog:show -svg=compatibility.svg
func (Catalog) Show(svg *string) error {
	return cli.Exit("catalog:show", cli.CatalogShow(os.Stdout, cli.Value(svg)))
}

// Check judges the catalog, one line for each rule.
// Shape, order, duplicates, profiles, and that the tags of tested pairs exist; exit code 10 when one is broken.
//
// Needs: in production a network; in a rehearsal the local GitHub is asked.
// Leaves: nothing.
// See: docs/catalog.md
// Example: go tool mage catalog:check
func (Catalog) Check(ctx context.Context) error {
	return cli.Exit("catalog:check", cli.CatalogCheck(ctx))
}

// Docs writes the pages that follow from the catalog.
// A pull request that changes the catalog brings them along; a guard looks for them.
//
// Needs: nothing.
// Leaves: docs/catalog.md and docs/compatibility.svg.
// See: docs/catalog.md
// Example: go tool mage catalog:docs
func (Catalog) Docs() error { return cli.Exit("catalog:docs", cli.CatalogDocs()) }

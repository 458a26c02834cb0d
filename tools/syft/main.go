// Command syft describes one source as SPDX 2.3 JSON on standard output, by
// syft's own library, with syft's catalogers and its command's defaults. RPM's
// databases it cannot read, so that it refuses a source with one of them.
//
// It is not syft's own command: that one brings a terminal interface, a database
// engine and clients of three clouds along, which are twice as much to compile,
// before the first release of everybody who clones this repository.
package main

import (
	"context"
	"crypto"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/anchore/stereoscope"
	"github.com/anchore/stereoscope/pkg/image"
	"github.com/anchore/syft/syft"
	"github.com/anchore/syft/syft/cataloging"
	"github.com/anchore/syft/syft/cataloging/filecataloging"
	"github.com/anchore/syft/syft/format/spdxjson"
	"github.com/anchore/syft/syft/pkg"
	"github.com/anchore/syft/syft/source"
)

// version is syft's, which a document names as its creator. The compiler's caller sets it.
var version string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "syft:", err)
		os.Exit(1)
	}
}

// options are what a source is called and where it lies.
type options struct {
	name, version string
	platform      string // of an image, "linux/amd64"
	base          string // of a folder: no link leads above it, and paths are told from there
	catalogers    string // the tag of the default ones, "image"; empty: the source's own
}

func run(ctx context.Context, arguments []string, w io.Writer) error {
	var o options
	flags := flag.NewFlagSet("syft", flag.ContinueOnError)
	flags.StringVar(&o.name, "name", "", "what the source is called")
	flags.StringVar(&o.version, "version", "", "its version")
	flags.StringVar(&o.platform, "platform", "", "the platform of an image")
	flags.StringVar(&o.base, "base", "", "the folder that paths are told from")
	flags.StringVar(&o.catalogers, "catalogers", "", "the default catalogers, by their tag")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if version == "" || flags.NArg() != 1 {
		return errors.New("usage: syft -name=N -version=V [-platform=P] [-base=DIR] [-catalogers=TAG] SCHEME:PATH, " +
			"built with its version")
	}
	return o.describe(ctx, flags.Arg(0), w)
}

// describe writes the document of what lies at SCHEME:PATH.
func (o options) describe(ctx context.Context, where string, w io.Writer) (err error) {
	scheme, path := stereoscope.ExtractSchemeSource(where, "oci-dir", "dir")
	if scheme == "" {
		return fmt.Errorf("%q is neither oci-dir:PATH nor dir:PATH", where)
	}
	config := syft.DefaultGetSourceConfig().WithSources(scheme).WithBasePath(o.base).
		WithAlias(source.Alias{Name: o.name, Version: o.version})
	if o.platform != "" {
		platform, err := image.NewPlatform(o.platform)
		if err != nil {
			return err
		}
		config = config.WithPlatform(platform)
	}
	src, err := syft.GetSource(ctx, path, config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	if err := readable(src); err != nil {
		return err
	}
	found, err := syft.CreateSBOM(ctx, src, o.config())
	if err != nil {
		return err
	}
	encoder, err := spdxjson.NewFormatEncoderWithConfig(spdxjson.DefaultEncoderConfig())
	if err != nil {
		return err
	}
	return encoder.Encode(w, *found)
}

// readable refuses what would be left out: to read RPM's databases syft wants a
// whole SQLite, a sixth of all that it is compiled of, and nothing here has one.
func readable(src source.Source) error {
	resolver, err := src.FileResolver(source.SquashedScope)
	if err != nil {
		return err
	}
	found, err := resolver.FilesByGlob(pkg.RpmDBGlob, pkg.RpmManifestGlob)
	if err == nil && len(found) > 0 {
		err = fmt.Errorf("%s: this syft reads no packages of RPM", found[0].RealPath)
	}
	return err
}

// config is what syft's command takes where its library takes something else.
func (o options) config() *syft.CreateSBOMConfig {
	selection := cataloging.NewSelectionRequest().WithRemovals("rpm")
	if o.catalogers != "" {
		selection = selection.WithDefaults(o.catalogers)
	}
	return syft.DefaultCreateSBOMConfig().WithTool("syft", version).WithCatalogerSelection(selection).
		WithFilesConfig(filecataloging.DefaultConfig().WithHashers(crypto.SHA1, crypto.SHA256))
}

package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/kms/compose"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/provider/dstack"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/e2e"
	"github.com/calimero-network/mero-tee/internal/verify/migration"
	"github.com/calimero-network/mero-tee/policies/propose"
)

// Observe runs a released key service on an OS image of the provider, believes
// what its verified quote proves, deletes it, and proposes the image's entry in
// the platforms file. "The quote is the only source of a measurement."
func Observe(ctx context.Context, w io.Writer, image, tag string, dryRun bool) error {
	kms, err := parseTag(release.KMS, tag)
	if err != nil {
		return err
	}
	return operate(ctx, func(o *operator) error {
		service, err := o.keyService(ctx, kms, release.Debug) // shows its log when it fails
		if err != nil {
			return err
		}
		var seen measurement.Platform
		err = o.journalled(ctx, "observe", kms, func(p e2e.Provider) (err error) {
			seen, err = o.observe(ctx, p, service, image)
			return err
		})
		if err != nil {
			return err
		}
		return o.proposePlatform(ctx, w, seen, dryRun)
	})
}

// journalled does what makes deployments with a ledger of its own: see withLedger.
func (o *operator) journalled(ctx context.Context, command string, tag release.Tag, do func(e2e.Provider) error) error {
	commit, err := o.commit(ctx, tag)
	if err != nil {
		return err
	}
	return o.journalledAt(command, tag, commit, do)
}

func (o *operator) journalledAt(command string, tag release.Tag, commit string, do func(e2e.Provider) error) error {
	return o.withLedger(command, tag, commit, func(j journal.Journal) error {
		return do(steps.Journalled(o.env.Dstack(), j))
	})
}

// observe deploys the service, reads what its quote proves, and deletes it.
func (o *operator) observe(ctx context.Context, provider e2e.Provider, service migration.Release,
	image string) (seen measurement.Platform, err error) {
	verifier, err := o.env.Verifier()
	if err != nil {
		return seen, err
	}
	o.console.Infof("deploying %s on %s", service.Tag, image)
	d, err := provider.Deploy(ctx, dstack.App{Name: dstack.Name("mero-observe", image, dstack.NewRun()),
		Compose: service.AppCompose, Image: image})
	if err != nil {
		return seen, err
	}
	defer func() { err = errors.Join(err, provider.Delete(context.WithoutCancel(ctx), d.ID)) }()
	report, err := (&agent.Agent{HTTP: o.env.Client()}).ObserveKMS(ctx, d.URL, verifier, compose.Hash(service.AppCompose))
	if err != nil {
		return seen, err
	}
	return observed(image, d, report)
}

// observed is the entry that a verified quote proves.
func observed(image string, d *dstack.Deployment, report *agent.KMSReport) (measurement.Platform, error) {
	event, err := tdx.Named(report.Events, measurement.OSImageHashEvent)
	if err != nil || len(event.Payload) != len(digest.Digest{}) {
		return measurement.Platform{}, &fault.Error{Code: fault.Verification, Message: "the quote's event log", Err: err,
			Expected: "an event " + measurement.OSImageHashEvent + " of 32 bytes", Got: fmt.Sprintf("%x", event.Payload)}
	}
	r := report.Verdict.Registers
	return measurement.Platform{Image: image, OSImageHash: digest.Digest(event.Payload),
		VMShape: dstack.DefaultInstanceType,
		Cluster: cluster(d.URL), MRTD: r.MRTD, RTMR0: r.RTMR0, RTMR1: r.RTMR1, RTMR2: r.RTMR2,
		Source: fmt.Sprintf("a verified quote of application %s, TCB status %s; the quote's SHA-256 is %s", d.AppID,
			report.Verdict.TCB, digest.Of(report.Quote).Hex())}, nil
}

// cluster is the provider's name for its gateway: "dstack-pha-prod5" of
// https://{app id}-8080.dstack-pha-prod5.phala.network.
func cluster(url string) string {
	_, domain, _ := strings.Cut(url, ".")
	name, _, _ := strings.Cut(domain, ".")
	return name
}

// platformsPage documents the platforms file; its table has a row for each image.
const (
	platformsPage  = "docs/measurements.md"
	platformsTable = "| OS image | VM shape | observed at | source |\n|---|---|---|---|\n"
)

// proposePlatform shows an entry, and opens the pull request that adds it to the file on main.
func (o *operator) proposePlatform(ctx context.Context, w io.Writer, seen measurement.Platform, dryRun bool) error {
	path, err := filepath.Rel(o.env.Root, o.env.PlatformFile)
	if err != nil {
		return err
	}
	before, err := o.onMain(ctx, filepath.ToSlash(path))
	if err != nil {
		return err
	}
	file, err := measurement.DecodePlatforms(before)
	if err != nil {
		return err
	}
	if known, err := file.Named(seen.Image); err == nil {
		seen.Source = known.Source // the same values need no other source
		if known != seen {
			o.console.Warnf("%s is listed with other values than were observed", seen.Image)
		} else {
			o.console.Infof("%s is listed with just these values: nothing to propose", seen.Image)
			return nil
		}
	}
	entry, err := canonical.Marshal(seen)
	if err != nil {
		return err
	}
	if _, err := w.Write(entry); err != nil || dryRun {
		return err
	}
	return o.openPlatform(ctx, filepath.ToSlash(path), file, seen)
}

func (o *operator) openPlatform(ctx context.Context, path string, file *measurement.Platforms,
	seen measurement.Platform) error {
	file, err := file.With(seen)
	if err != nil {
		return err
	}
	content, err := file.Encode()
	if err != nil {
		return err
	}
	page, err := o.onMain(ctx, platformsPage)
	if err != nil {
		return err
	}
	if page, err = withRow(page, seen); err != nil {
		return err
	}
	title := "Add the measurements of OS image " + seen.Image
	pr, err := o.github.Propose(ctx, github.Change{Base: propose.Base, Branch: "platforms/" + seen.Image, Message: title,
		Title: title, Files: map[string][]byte{path: content, platformsPage: page},
		Body: o.env.Banner + "\n\nObserved by `kms:observe`: " + seen.Source + ".\n\nThe image that deployments name " +
			"stays; change `image` in " + path + " to release for this one."})
	if err != nil {
		return err
	}
	o.console.Infof("proposed in pull request #%d: %s%s", pr.Number, pr.HTMLURL, o.banner())
	return nil
}

// onMain is a file of the main branch, and of the work tree while main has none.
func (o *operator) onMain(ctx context.Context, path string) ([]byte, error) {
	data, err := o.github.ReadFile(ctx, path, propose.Base)
	if errors.Is(err, github.ErrNotFound) {
		return os.ReadFile(filepath.Join(o.env.Root, filepath.FromSlash(path)))
	}
	return data, err
}

// withRow puts an image first in the page's table, in place of its earlier row.
func withRow(page []byte, seen measurement.Platform) ([]byte, error) {
	before, after, found := bytes.Cut(page, []byte(platformsTable))
	if !found {
		return nil, &fault.Error{Code: fault.General, Message: platformsPage, Expected: "the table of OS images",
			Got: "no table with its header"}
	}
	row := fmt.Sprintf("| `%s` | %s | %s | %s |\n", seen.Image, seen.VMShape, seen.Cluster, seen.Source)
	var kept []string
	for _, line := range strings.SplitAfter(string(after), "\n") {
		if !strings.HasPrefix(line, "| `"+seen.Image+"` |") {
			kept = append(kept, line)
		}
	}
	return []byte(string(before) + platformsTable + row + strings.Join(kept, "")), nil
}

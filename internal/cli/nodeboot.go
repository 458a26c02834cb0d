package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/boot"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/rehearsal"
	"github.com/calimero-network/mero-tee/internal/release"
)

// BootNode boots a node's disk on an emulated machine and judges it: the file
// disk, or the image that was rehearsed for the current tag; without a profile,
// each that there is. With control, a disk that lets the host in is booted, too. A
// report is left in dist.
func BootNode(ctx context.Context, profile, disk string, control bool) error {
	profiles := release.Profiles()
	if profile != "" {
		p, err := release.ParseProfile(profile)
		if err != nil {
			return err
		}
		profiles = []release.Profile{p}
	}
	w, tag, err := openWorkspace(release.Node, "")
	if err != nil {
		return err
	}
	c := newConsole()
	if disk != "" {
		return w.bootDisk(ctx, c, boot.Request{Profile: release.Profile(profile), Disk: disk, Control: control})
	}
	for _, p := range profiles {
		file, err := w.builtDisk(tag, p)
		if err == nil {
			err = w.bootDisk(ctx, c, boot.Request{Profile: p, Disk: file, Control: control})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *workspace) bootDisk(ctx context.Context, c *console.Console, r boot.Request) error {
	folder := filepath.Join(w.dist, "boot", cmp.Or(string(r.Profile), filepath.Base(r.Disk)))
	r.Report, r.Console, r.TD = folder, c, rehearsal.LendTD
	report, err := boot.Run(ctx, r)
	if err != nil {
		return err
	}
	if report.Results.Count(check.Skipped) < len(report.Results) {
		c.Infof("%s: booted for %.0f s, for which processors worked %.0f s; the report: %s", report.Profile, report.Seconds,
			report.Worked, console.Path(filepath.Join(folder, "report.md")))
	}
	return report.Err()
}

// builtDisk is the disk of the image that the rehearsal built for a tag's profile.
func (w *workspace) builtDisk(tag release.Tag, p release.Profile) (string, error) {
	missing := &fault.Error{Code: fault.MissingAsset, Message: fmt.Sprintf("no image of %s was built for %s here", p, tag),
		Expected: "an image of the rehearsal, or -disk=FILE",
		Hint:     fmt.Sprintf("MERO_ENVIRONMENT=rehearsal go tool mage node:build -profile=%s", p)}
	name := filepath.Join(steps.Dir(w.dist, tag), "assets", release.RecordAsset(p))
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		missing.Got = "no " + console.Path(name)
		return "", missing
	}
	if err != nil {
		return "", err
	}
	record, err := image.Decode(data)
	if err != nil {
		return "", err
	}
	disk := rehearsal.ImageFile(w.dist, record.Image.Project, record.Image.Name)
	if _, err := os.Stat(disk); err != nil {
		missing.Got = "no " + console.Path(disk)
		return "", missing
	}
	return disk, nil
}

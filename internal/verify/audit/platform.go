package audit

import (
	"context"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

const platformName = "registers and TCB list of the key service's machine are the commit's"

// platform predicts a key service's measurements once more, from the operating
// system image and the TCB list that people reviewed in the release's commit: whose
// machine it is that clients accept, a signature over the measurements does not say.
func (a *auditor) platform(ctx context.Context, published *measurement.Published) check.Result {
	return a.ofCommit(ctx, platformName, published.Commit,
		func(read reader) error { return a.predicted(published, read) })
}

// predicted is nil when the files that read gives make the very measurements that were published.
func (a *auditor) predicted(published *measurement.Published, read reader) error {
	platform, host, err := a.governed(read)
	if err != nil {
		return err
	}
	images, hashes := map[release.Profile]measurement.Image{}, map[release.Profile]digest.Digest{}
	for name, p := range published.Profiles {
		images[name] = measurement.Image{Name: p.Image.Name, Digest: p.Image.Digest}
		hashes[name] = p.Image.ComposeHash
	}
	want, err := measurement.PredictKMS(published.Tag, published.Commit, platform, host, images, hashes)
	if err != nil {
		return err
	}
	made, err := want.Encode()
	if err != nil {
		return err
	}
	got, err := a.read(release.MeasurementsAsset)
	if err != nil {
		return err
	}
	return difference(made, got)
}

// governed are the platform that deployments name, and what is accepted of the machine under it.
func (a *auditor) governed(read reader) (p measurement.Platform, host tcb.List, err error) {
	data, err := read(a.platformsFile())
	if err != nil {
		return p, host, err
	}
	platforms, err := measurement.DecodePlatforms(data)
	if err == nil {
		p, err = platforms.Chosen()
	}
	if err != nil { // an input of the repository elsewhere, a finding here
		return p, host, &fault.Error{Code: fault.Verification, Err: err,
			Message: "the commit's " + a.platformsFile() + " names no platform"}
	}
	if data, err = read(tcb.HostFile); err != nil {
		return p, host, err
	}
	list, err := tcb.DecodeHost(data)
	if err != nil {
		return p, host, err
	}
	return p, list.List, nil
}

func (a *auditor) platformsFile() string {
	if a.Platforms == "" {
		return measurement.PlatformsFile
	}
	return a.Platforms
}

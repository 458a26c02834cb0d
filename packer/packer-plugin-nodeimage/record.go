package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/hcl/v2/hcldec"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	registryimage "github.com/hashicorp/packer-plugin-sdk/packer/registry/image"
	"github.com/hashicorp/packer-plugin-sdk/template/config"
	"github.com/mitchellh/mapstructure"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/release"
)

// PostProcessor writes the record of the image that the builder made.
type PostProcessor struct{ config Config }

// ConfigSpec describes the block to Packer.
func (p *PostProcessor) ConfigSpec() hcldec.ObjectSpec { return p.config.FlatMapstructure().HCL2Spec() }

// Configure reads the block.
func (p *PostProcessor) Configure(raws ...any) error {
	if err := config.Decode(&p.config, &config.DecodeOpts{PluginType: "nodeimage-record"}, raws...); err != nil {
		return err
	}
	return p.config.check()
}

// PostProcess writes the record; the image is kept.
func (p *PostProcessor) PostProcess(_ context.Context, ui packersdk.Ui,
	artifact packersdk.Artifact) (packersdk.Artifact, bool, bool, error) {
	record, err := p.record(artifact)
	if err != nil {
		return nil, true, false, err
	}
	data, err := record.Encode()
	if err != nil {
		return nil, true, false, explained(err)
	}
	if err := file.Write(p.config.Output, data, 0o644); err != nil {
		return nil, true, false, err
	}
	ui.Say(fmt.Sprintf("%s: %d packages, %d files, content %s", record.Image.Name, len(record.Packages), len(record.Files),
		record.Content))
	return artifact, true, true, nil
}

func (p *PostProcessor) record(artifact packersdk.Artifact) (*image.Record, error) {
	c := p.config
	version, err := release.ParseVersion(c.Release)
	if err != nil {
		return nil, err
	}
	r := &image.Record{Profile: release.Profile(c.Profile), Version: version, Commit: c.Commit, ContentID: c.ContentID,
		Base:  image.Base{Name: c.BaseImage, Project: c.BaseImageProject},
		Tools: image.Tools{Packer: c.PackerCoreVersion, GoogleCompute: c.GoogleCompute, AnsiblePlugin: c.AnsiblePlugin}}
	if r.Image, err = built(artifact, c.BaseImage); err != nil {
		return nil, err
	}
	if err := readJSON(c.Binaries, &r.Binaries); err != nil {
		return nil, err
	}
	text, err := file.Read(c.Report, canonical.MaxSize)
	if err != nil {
		return nil, err
	}
	report, err := image.ParseReport(text)
	if err != nil {
		return nil, err
	}
	return r, r.Fill(report)
}

// explained puts the findings into the error's text, the only part of it that Packer prints.
func explained(err error) error {
	var f *fault.Error
	if errors.As(err, &f) && f.Got != "" {
		return fmt.Errorf("%w: %s", err, f.Got)
	}
	return err
}

// built is what the builder says it made, and that it made it of base.
func built(artifact packersdk.Artifact, base string) (image.Image, error) {
	var state registryimage.Image // crosses the RPC as a map
	if err := mapstructure.Decode(artifact.State(registryimage.ArtifactStateURI), &state); err != nil {
		return image.Image{}, err
	}
	image := image.Image{Name: artifact.Id(), Project: state.Labels["project_id"], SelfLink: state.Labels["self_link"]}
	if image.SelfLink == "" {
		return image, fmt.Errorf("the builder %s gave no self link", artifact.BuilderId())
	}
	if state.SourceImageID != "" && state.SourceImageID != base {
		return image, fmt.Errorf("the builder started from %q, not from the pinned %q", state.SourceImageID, base)
	}
	return image, nil
}

func readJSON(path string, v any) error {
	data, err := file.Read(path, canonical.MaxSize)
	if err != nil {
		return err
	}
	return canonical.Unmarshal(data, v)
}

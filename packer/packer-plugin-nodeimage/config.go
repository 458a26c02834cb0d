//go:generate packer-sdc mapstructure-to-hcl2 -type Config

package main

import (
	"fmt"
	"reflect"

	"github.com/hashicorp/packer-plugin-sdk/common"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/calimero-network/mero-tee/internal/release"
)

// Config is the block post-processor "nodeimage-record".
type Config struct {
	common.PackerConfig `mapstructure:",squash"`
	Profile             string `mapstructure:"profile" required:"true"`
	Release             string `mapstructure:"release" required:"true"` // the version
	Commit              string `mapstructure:"commit"`
	ContentID           string `mapstructure:"content_id" required:"true"`
	BaseImage           string `mapstructure:"base_image" required:"true"`
	BaseImageProject    string `mapstructure:"base_image_project" required:"true"`
	GoogleCompute       string `mapstructure:"googlecompute" required:"true"`  // version of that plugin
	AnsiblePlugin       string `mapstructure:"ansible_plugin" required:"true"` // version of that plugin
	Binaries            string `mapstructure:"binaries" required:"true"`       // JSON file: what lies in /usr/lib/mero
	Report              string `mapstructure:"report" required:"true"`         // text file: what the machine said
	Output              string `mapstructure:"output" required:"true"`         // the record
}

// check refuses a block that lacks something.
func (c *Config) check() error {
	var errs *packersdk.MultiError
	v := reflect.ValueOf(*c)
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.Tag.Get("required") == "true" && v.Field(i).String() == "" {
			errs = packersdk.MultiErrorAppend(errs, fmt.Errorf("%s is missing", f.Tag.Get("mapstructure")))
		}
	}
	if _, err := release.ParseProfile(c.Profile); err != nil {
		errs = packersdk.MultiErrorAppend(errs, err)
	}
	if _, err := release.ParseVersion(c.Release); err != nil {
		errs = packersdk.MultiErrorAppend(errs, err)
	}
	if errs != nil {
		return errs
	}
	return nil
}

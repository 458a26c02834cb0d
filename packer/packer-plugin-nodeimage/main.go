// Command packer-plugin-nodeimage is the Packer plugin that writes the record
// of a node image.
//
// Its promise: an image without a complete record is a failed build.
package main

import (
	"fmt"
	"os"

	"github.com/hashicorp/packer-plugin-sdk/plugin"
	"github.com/hashicorp/packer-plugin-sdk/version"
)

// pluginVersion is what node.pkr.hcl requires.
const pluginVersion = "0.1.0"

func main() {
	set := plugin.NewSet()
	set.RegisterPostProcessor("record", new(PostProcessor))
	set.SetVersion(version.NewPluginVersion(pluginVersion, "", ""))
	if err := set.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

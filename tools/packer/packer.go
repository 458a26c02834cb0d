// Package packer pins Packer and its plugins. The plugins are built from this
// module. Packer itself is not: its command package imports every plugin that
// it once bundled (for AWS, Azure, vSphere and more, 300 MB of modules), so
// package internal/node/packer builds a copy of the pinned sources in which
// vendored_plugins.go.txt takes the place of command/vendored_plugins.go.
package packer

import _ "github.com/hashicorp/packer/version" // keeps go.mod and go.sum honest

// Package image is the record of a node image: what it was built from and
// what is in it.
//
// Its promise: a record that is read was written for exactly one image, says
// event by event what RTMR1 and RTMR2 of it are, and proves its own content:
// packages and files give the digest that the image's kernel command line holds.
package image

import (
	"encoding/json"
	"fmt"

	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot"
	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// SchemaVersion is the only version of the record that is read. Records of
// version 1 were of images that GRUB booted: nothing in them says what RTMR1
// must be. Those of version 2 name neither the distribution of the packages nor
// their sources, without which nobody can look for their vulnerabilities.
const SchemaVersion = "3"

// Folder is where an image keeps our programs.
const Folder = "/usr/lib/mero"

// Record is what the build of one image leaves behind.
type Record struct {
	SchemaVersion string          `json:"schema_version"`
	Profile       release.Profile `json:"profile"`
	Version       release.Version `json:"version"`
	Commit        string          `json:"commit,omitempty"` // 40 hex digits
	Image         Image           `json:"image"`
	Base          Base            `json:"base"`
	// 64 hex digits over everything that decided the image; the first 8 are in its name
	ContentID string            `json:"content_id"`
	Boot      measuredboot.Boot `json:"boot"`    // what its disk boots, and what is measured of it
	Content   digest.Digest     `json:"content"` // digest of the manifest that lies in the image
	Packages  []Package         `json:"packages"`
	Files     []File            `json:"files"` // what no package brought, and all of /etc
	Binaries  []Binary          `json:"binaries"`
	Tools     Tools             `json:"tools"`
}

// Image is where the image is.
type Image struct {
	Name     string `json:"name"`
	Project  string `json:"project"`
	SelfLink string `json:"self_link"`
}

// Base is the pinned image that the build started from.
type Base struct {
	Name    string `json:"name"`
	Project string `json:"project"`
}

// Package is an installed Debian package. Distributions say by its source, and by
// the version of that, which vulnerabilities it has.
type Package struct {
	Name          string `json:"name"`
	Version       string `json:"version"`
	Architecture  string `json:"architecture"`
	Source        string `json:"source"`
	SourceVersion string `json:"source_version"`
}

// File is a regular file with its digest, or a symbolic link with its target.
type File struct {
	Path   string        `json:"path"`
	Mode   string        `json:"mode,omitempty"`  // four octal digits
	Owner  string        `json:"owner,omitempty"` // uid:gid
	SHA256 digest.Digest `json:"sha256,omitzero"`
	Target string        `json:"target,omitempty"`
}

// Binary is a program that was put into Folder.
type Binary struct {
	Name    string        `json:"name"`
	Version string        `json:"version"`
	SHA256  digest.Digest `json:"sha256"`
	Source  string        `json:"source"` // a URL, or the folder of this repository that it was compiled from
}

// Tools are the versions of what built the image.
type Tools struct {
	Packer        string `json:"packer"`
	GoogleCompute string `json:"googlecompute"` // Packer's plugin
	AnsiblePlugin string `json:"ansible_plugin"`
	Ansible       string `json:"ansible"` // ansible-core
}

// Encode checks r and renders it canonically.
func (r *Record) Encode() ([]byte, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	return canonical.Marshal(r)
}

// Decode reads a record and checks it. Bytes that are not the canonical form
// of what they say are refused.
func Decode(data []byte) (*Record, error) {
	if err := readable(data); err != nil {
		return nil, err
	}
	var r Record
	if err := canonical.UnmarshalExact(data, &r); err != nil {
		return nil, &fault.Error{Code: fault.Verification, Message: "the image record is malformed", Err: err}
	}
	if err := r.Check(); err != nil {
		return nil, err
	}
	return &r, nil
}

// readable refuses a record of another version by its name, before its fields are
// called unknown.
func readable(data []byte) error {
	var r struct {
		SchemaVersion *string `json:"schema_version"`
	}
	if json.Unmarshal(data, &r) != nil || r.SchemaVersion == nil || *r.SchemaVersion == SchemaVersion {
		return nil //nolint:nilerr // what else may be wrong is Decode's to say
	}
	message := "an image record of a version that this program does not read"
	switch *r.SchemaVersion {
	case "1":
		message = "an image record of version 1, which does not say what RTMR1 must be"
	case "2":
		message = "an image record of version 2, which does not say of which distribution and sources its packages are"
	}
	err := fault.Mismatch(message, SchemaVersion, fmt.Sprintf("%.20q", *r.SchemaVersion))
	err.Hint = "verify a release with the program of its own tag"
	return err
}

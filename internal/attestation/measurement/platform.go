package measurement

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// PlatformsFile is where the platforms lie in the repository.
const PlatformsFile = "docker/mero-kms/dstack-platforms.json"

// Platforms is docker/mero-kms/dstack-platforms.json: what the operating system
// images measure on which the key service may run, and which one it is released for.
type Platforms struct {
	SchemaVersion string     `json:"schema_version"`
	Platform      string     `json:"platform"` // "dstack"
	Image         string     `json:"image"`    // the one that a deployment names
	Images        []Platform `json:"images"`
}

// Platform is what one operating system image measures on one VM shape, and where
// that was observed. MRTD and RTMR0 are the firmware's and the shape's; RTMR1 and
// RTMR2 are the image's.
type Platform struct {
	Image       string        `json:"image"` // the provider's name for it, for example dstack-0.5.9
	OSImageHash digest.Digest `json:"os_image_hash"`
	VMShape     string        `json:"vm_shape"`
	Cluster     string        `json:"cluster"` // where it was observed
	MRTD        tdx.Register  `json:"mrtd"`
	RTMR0       tdx.Register  `json:"rtmr0"`
	RTMR1       tdx.Register  `json:"rtmr1"`
	RTMR2       tdx.Register  `json:"rtmr2"`
	Source      string        `json:"source"` // the public record of the values
}

// DecodePlatforms reads the platforms file strictly. Errors carry code 2: it is
// an input of the repository.
func DecodePlatforms(data []byte) (*Platforms, error) {
	var p Platforms
	if err := canonical.UnmarshalExact(data, &p); err != nil {
		return nil, platformFault(err)
	}
	if err := p.check(); err != nil {
		return nil, platformFault(err)
	}
	return &p, nil
}

// Encode checks p and renders it canonically.
func (p *Platforms) Encode() ([]byte, error) {
	if err := p.check(); err != nil {
		return nil, platformFault(err)
	}
	return canonical.Marshal(p)
}

func platformFault(err error) error {
	return &fault.Error{Code: fault.Usage, Message: "platforms file", Err: err}
}

func (p *Platforms) check() error {
	if p.SchemaVersion != SchemaVersion || p.Platform != "dstack" {
		return fmt.Errorf("schema_version %q of platform %q is unknown", p.SchemaVersion, p.Platform)
	}
	for i, image := range p.Images {
		if err := image.check(); err != nil {
			return fmt.Errorf("image %q: %w", image.Image, err)
		}
		for _, other := range p.Images[:i] {
			if other.Image == image.Image {
				return fmt.Errorf("image %q is listed twice", image.Image)
			}
			if other.OSImageHash == image.OSImageHash || other.RTMR1 == image.RTMR1 && other.RTMR2 == image.RTMR2 {
				return fmt.Errorf("images %q and %q have the same measurements", other.Image, image.Image)
			}
		}
	}
	_, err := p.Chosen()
	return err
}

var imageForm = regexp.MustCompile(`^dstack(-[a-z]+)?-[0-9]+(\.[0-9]+)+(-[0-9a-z.]+)?$`)

func (p Platform) check() error {
	if !imageForm.MatchString(p.Image) {
		return fmt.Errorf("it is not named like dstack-0.5.9")
	}
	if p.Cluster == "" || p.VMShape == "" || p.Source == "" {
		return fmt.Errorf("cluster, vm_shape and source must all be named")
	}
	if p.OSImageHash.IsZero() {
		return fmt.Errorf("os_image_hash is zero")
	}
	for i, v := range [4]tdx.Register{p.MRTD, p.RTMR0, p.RTMR1, p.RTMR2} {
		if v.IsZero() {
			return fmt.Errorf("%s is zero", tdx.RegisterNames()[i])
		}
	}
	return nil
}

// Chosen is the image that deployments name.
func (p *Platforms) Chosen() (Platform, error) { return p.Named(p.Image) }

// Named is the entry of an image. That of an unknown one is an error with code
// Usage, which lists those that are known.
func (p *Platforms) Named(image string) (Platform, error) {
	if i := p.index(image); i >= 0 {
		return p.Images[i], nil
	}
	known := make([]string, len(p.Images))
	for i, other := range p.Images {
		known[i] = other.Image
	}
	return Platform{}, &fault.Error{Code: fault.Usage, Message: fmt.Sprintf("no measurements of the OS image %q", image),
		Expected: "one of " + strings.Join(known, ", "), Got: image,
		Hint: "observe it: go tool mage kms:observe " + image}
}

func (p *Platforms) index(image string) int {
	return slices.IndexFunc(p.Images, func(o Platform) bool { return o.Image == image })
}

// With is the file with the entry of an image, newly observed or observed again.
// The image that deployments name stays.
func (p *Platforms) With(observed Platform) (*Platforms, error) {
	out := *p
	out.Images = slices.Clone(p.Images)
	if i := out.index(observed.Image); i >= 0 {
		out.Images[i] = observed
	} else {
		out.Images = slices.Insert(out.Images, 0, observed)
	}
	return &out, out.check()
}

package packer

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/image"
)

// Pin says where a program beside the agent comes from (packer/companions.json).
type Pin struct {
	Name    string        `json:"name"`
	Version string        `json:"version"`
	URL     string        `json:"url"`
	SHA256  digest.Digest `json:"sha256,omitzero"` // of what the URL gives
	Member  string        `json:"member"`          // path of the program in that .tar.gz
}

type pins struct {
	SchemaVersion string `json:"schema_version"`
	Companions    []Pin  `json:"companions"`
}

var companionForm = regexp.MustCompile(`^[a-z][a-z_]*$`)

// ReadPins reads the pins of the named companions, in that order. One that is
// not pinned is refused: nothing is built of what nobody looked at.
func ReadPins(root string, names []string) ([]Pin, error) {
	const name = "packer/companions.json"
	data, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		return nil, err
	}
	var all pins
	if err := canonical.Unmarshal(data, &all); err != nil {
		return nil, &fault.Error{Code: fault.Usage, Message: name, Err: err}
	}
	out := make([]Pin, 0, len(names))
	for _, wanted := range names {
		i := slices.IndexFunc(all.Companions, func(p Pin) bool { return p.Name == wanted })
		if i < 0 || all.Companions[i].incomplete() {
			return nil, &fault.Error{Code: fault.MissingAsset, Message: "companion " + wanted + " is not pinned",
				Expected: "version, URL, SHA-256 and member in " + name,
				Hint:     "take the SHA-256 from the project's own release page, and check it against what you download"}
		}
		out = append(out, all.Companions[i])
	}
	return out, nil
}

func (p Pin) incomplete() bool {
	return !companionForm.MatchString(p.Name) || p.Version == "" || p.URL == "" || p.SHA256.IsZero() || p.Member == ""
}

// Companion is a program that lies ready to be put into an image.
type Companion struct {
	Name    string
	Version string
	SHA256  digest.Digest // of the program itself
	Source  string
}

// check says whether the file is the program.
func (c Companion) check(path string) error {
	got, _, err := digest.OfFile(path)
	if err == nil && got != c.SHA256 {
		return fault.Mismatch("program "+c.Name+" is another one than was ordered", c.SHA256.String(), got.String())
	}
	return err
}

func (c Companion) binary() image.Binary {
	return image.Binary{Name: c.Name, Version: c.Version, SHA256: c.SHA256, Source: c.Source}
}

// choose returns the companions of the profile, or their pins, in its order.
func choose[T any](p *Profile, all []T, nameOf func(T) string) ([]T, error) {
	out := make([]T, 0, len(p.Companions))
	for _, name := range p.Companions {
		i := slices.IndexFunc(all, func(c T) bool { return nameOf(c) == name })
		if i < 0 {
			return nil, &fault.Error{Code: fault.MissingAsset,
				Message: fmt.Sprintf("profile %s: companion %s was not prepared", p.Name, name)}
		}
		out = append(out, all[i])
	}
	return out, nil
}

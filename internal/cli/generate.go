package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

// maxInputs is how many files of measurements one policy may be made of.
const maxInputs = 64

// PolicyGenerate makes the policies of a key service's version from files of
// published measurements, named with commas between them, and writes them into
// a folder, or one after the other to w. It makes no release and asks nobody.
func PolicyGenerate(w io.Writer, version, files, out string) error {
	kms, err := release.ParseVersion(version)
	if err != nil {
		return err
	}
	space, err := locate()
	if err != nil {
		return err
	}
	working, err := policies.LoadDir(os.DirFS(filepath.Join(space.root, "policies")))
	if err != nil {
		return err
	}
	inputs, err := readInputs(files)
	if err != nil {
		return err
	}
	set, err := policies.FromMeasurements(working, kms, inputs...)
	if err != nil {
		return err
	}
	c := newConsole()
	for _, m := range set[release.Profiles()[0]].Measurements {
		c.Infof("rests on %s, published-mrtds.json %s", m.NodeRelease, m.Evidence)
	}
	c.Infof("the files were taken as they are: `go tool mage verify:release TAG` says whether they were released so")
	return writePolicies(c, w, set, out)
}

func readInputs(files string) ([][]byte, error) {
	names := strings.FieldsFunc(files, func(r rune) bool { return r == ',' })
	if len(names) > maxInputs {
		return nil, &fault.Error{Code: fault.Usage, Message: "too many files of measurements",
			Expected: fmt.Sprintf("at most %d", maxInputs), Got: fmt.Sprint(len(names))}
	}
	var out [][]byte
	for _, name := range names {
		data, err := readJSON(name)
		if err != nil {
			return nil, err
		}
		out = append(out, data)
	}
	return out, nil
}

// writePolicies encodes all before it writes the first.
func writePolicies(c *console.Console, w io.Writer, set map[release.Profile]*policies.Policy, dir string) error {
	encoded := map[release.Profile][]byte{}
	for profile, p := range set {
		var err error
		if encoded[profile], err = p.Encode(); err != nil {
			return err
		}
	}
	for _, profile := range release.Profiles() {
		if dir == "" {
			if _, err := w.Write(encoded[profile]); err != nil {
				return err
			}
			continue
		}
		path := filepath.Join(dir, release.PolicyAsset(profile))
		if err := file.Write(path, encoded[profile], 0o644); err != nil {
			return &fault.Error{Code: fault.Usage, Message: "cannot write the policy", Err: err}
		}
		c.Infof("wrote %s", console.Path(path))
	}
	return nil
}

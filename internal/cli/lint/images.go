package lint

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/packer"
)

// imageLinters look at what makes the node images.
func imageLinters(root string) []linter {
	var all []linter
	if exists(filepath.Join(root, "packer", "node.pkr.hcl")) {
		all = append(all, linter{"packer", func(ctx context.Context) (string, error) { return templates(ctx, root) }})
	}
	if exists(filepath.Join(root, "ansible", "node.yml")) {
		all = append(all, command("ansible-lint", filepath.Join(root, "ansible"),
			"ansible-lint", "--offline", "--strict", "--nocolor", "node.yml", "roles"))
	}
	return all
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// templates runs `packer fmt -check` and `packer validate` of the pinned Packer.
func templates(ctx context.Context, root string) (string, error) {
	p, err := packer.Prepare(ctx, root, func(string) {})
	if err != nil {
		return "", err
	}
	var findings []string
	for _, check := range []func(context.Context) error{p.Format, p.Validate} {
		finding, err := found(check(ctx))
		if err != nil {
			return "", err
		}
		if finding != "" {
			findings = append(findings, finding)
		}
	}
	return strings.Join(findings, "\n"), nil
}

// found tells what a check says about the repository from a check that could not be made.
func found(err error) (string, error) {
	var f *fault.Error
	if fault.CodeOf(err) != fault.Verification || !errors.As(err, &f) {
		return "", err
	}
	return f.Message + ": " + f.Got, nil
}

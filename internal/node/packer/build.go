package packer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

const defaultDeadline = 30 * time.Minute

// Build makes the image and returns the path of its record. Packer refuses a
// name that an image has already. Paths in the order are made absolute.
func (p *Packer) Build(ctx context.Context, o Order) (record string, err error) {
	if err := o.absolute(); err != nil {
		return "", err
	}
	record = filepath.Join(o.Output, "record.json")
	if err := os.Remove(record); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	file, err := p.prepare(o)
	if err != nil {
		return "", err
	}
	deadline := o.Deadline
	if deadline == 0 {
		deadline = defaultDeadline
	}
	ctx, cancel := context.WithTimeoutCause(ctx, deadline, fmt.Errorf("not done in %s", deadline))
	defer cancel()
	args := append([]string{"build", "-color=false", "-timestamp-ui=false"}, p.varFiles(o.Profile, file)...)
	if err := p.run(ctx, command{args: append(args, p.template()), env: o.Env, log: o.Log, name: o.Output}); err != nil {
		return "", &fault.Error{Code: fault.General, Message: "packer build of " + string(o.Profile), Err: err}
	}
	if _, err := os.Stat(record); err != nil {
		return "", &fault.Error{Code: fault.MissingAsset, Message: "packer build of " + string(o.Profile) + " left no record", Err: err}
	}
	return record, nil
}

func (o *Order) absolute() (err error) {
	for _, path := range []*string{&o.Output, &o.AgentBinary, &o.CompanionsDir} {
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
	}
	return os.MkdirAll(o.Output, 0o755)
}

func (p *Packer) template() string { return filepath.Join(p.root, "packer") }

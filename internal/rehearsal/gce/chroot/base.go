package chroot

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
)

// Base is the image that stands for the cloud's: the machine's own
// distribution, made by mmdebstrap.
type Base struct {
	Tar         string // an image file, as Unpack reads it
	Description string // what it is, for a person
	ID          string // the SHA-256 of the file, 64 hex digits
}

// MakeBase makes the base, or finds it in mero-tee/machines of the user's cache. When it has to be made, log gets one line.
func MakeBase(ctx context.Context, log func(string)) (*Base, error) {
	r, err := newRunner(ctx, program{"mmdebstrap", "mmdebstrap"}, program{"apt-config", "apt"})
	if err != nil {
		return nil, err
	}
	b, err := makeBase(ctx, r, log)
	if err != nil {
		return nil, &fault.Error{Code: fault.General, Message: "the base image of the rehearsal's VMs", Err: err,
			Hint: "mmdebstrap installs the machine's own Debian or Ubuntu: check that `apt-get update` works, and /etc/apt"}
	}
	return b, nil
}

func makeBase(ctx context.Context, r *runner, log func(string)) (*Base, error) {
	recipe, err := newRecipe(ctx, r)
	if err != nil {
		return nil, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(cache, "mero-tee", "machines", recipe.key())
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	unlock, err := file.Lock(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	b := &Base{Tar: filepath.Join(dir, "base.tar"), Description: recipe.description()}
	if b.find() {
		return b, nil
	}
	log("making " + recipe.description() + "; this takes about half a minute, once")
	return b, recipe.make(ctx, r, b)
}

// find reads the id, which is written last.
func (b *Base) find() bool {
	id, err := os.ReadFile(b.Tar + ".sha256")
	if err != nil || len(id) != 2*sha256.Size {
		return false
	}
	b.ID = string(id)
	_, err = os.Stat(b.Tar)
	return err == nil
}

// make runs mmdebstrap in namespaces of its own, so that a kill leaves none of
// its processes and mounts; the next one removes its folder.
func (r *recipe) make(ctx context.Context, run *runner, b *Base) (err error) {
	work := filepath.Join(filepath.Dir(b.Tar), "partial")
	if err := run.remove(ctx, work); err != nil {
		return err
	}
	if err := os.MkdirAll(work, 0o755); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, run.remove(context.WithoutCancel(ctx), work)) }()
	sources := filepath.Join(work, r.distribution.ID+".sources")
	if err := file.Write(sources, []byte(r.distribution.Text()), 0o644); err != nil {
		return err
	}
	made := filepath.Join(work, "base.tar")
	args := append([]string{"env", "TMPDIR=" + work, fmt.Sprintf("SOURCE_DATE_EPOCH=%d", r.month.Unix())}, r.arguments(sources, made)...)
	if err := run.fenced(ctx, args...); err != nil {
		return err
	}
	return b.keep(made)
}

// keep gives the finished file its name, on the disk, and then its id.
func (b *Base) keep(made string) error {
	f, err := os.Open(made)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // read-only handle
	sum, _, err := digest.OfReader(f)
	if err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(made, b.Tar); err != nil {
		return err
	}
	b.ID = sum.Hex()
	return file.Write(b.Tar+".sha256", []byte(b.ID), 0o644)
}

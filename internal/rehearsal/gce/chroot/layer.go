package chroot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// A disk that is made of an image is a layer over the image's files, which are
// unpacked once: the 18,000 files of the base cost 7 s of the kernel's time and
// 427 MB of writing for each of a release's three builds (2026-11-27).
const (
	layerDir = ".layer" // in the disk's folder; no root file system has one
	baseLink = "base"   // in there, beside upper and work
)

// bases are the files of images, unpacked once each as long as this process lives.
type bases struct {
	folders
	usable func() bool
}

func newBases(ctx context.Context, r *runner, dir string) *bases {
	return &bases{folders{runner: r, dir: dir}, sync.OnceValue(func() bool { return r.layers(ctx, dir) })}
}

// layers says whether this machine lays a folder over another, there and as we do:
// containers often cannot.
func (r *runner) layers(ctx context.Context, dir string) bool {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return false
	}
	probe, err := os.MkdirTemp(dir, "probe-")
	if err != nil {
		return false
	}
	defer func() { _ = r.remove(context.WithoutCancel(ctx), probe) }()
	for _, sub := range []string{baseLink + "/folder", "upper", "work", "root"} {
		if err := os.MkdirAll(filepath.Join(probe, sub), 0o755); err != nil {
			return false
		}
	}
	return r.fenced(ctx, "sh", "-c",
		overlayFunction+`overlay "$1" "$1/root" && rmdir "$1/root/folder" && mkdir "$1/root/folder"`, "sh", probe) == nil
}

// overlayFunction mounts the layer in the folder $1 on $2. The options name folders
// from inside the layer: a comma or colon in its own path would divide them.
const overlayFunction = `overlay() {
	options=lowerdir=` + baseLink + `,upperdir=upper,workdir=work
	# Outside of the first user namespace nobody may write the attributes that overlays usually have.
	read -r inside outside count </proc/self/uid_map
	[ "$outside $count" = "0 4294967295" ] || options=$options,userxattr
	(cd "$1" && mount -t overlay -o "$options" overlay "$2")
}
`

// layer makes the folder disk a layer over the image's files.
func (b *bases) layer(ctx context.Context, image, disk string) error {
	base, err := b.unpacked(ctx, image)
	if err != nil {
		return err
	}
	dir := filepath.Join(disk, layerDir)
	for _, sub := range []string{"upper", "work"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return err
		}
	}
	info, err := os.Stat(base)
	if err != nil {
		return err
	}
	upper := filepath.Join(dir, "upper") // its root is the disk's: like what it lies over
	return errors.Join(os.Chmod(upper, info.Mode().Perm()), os.Chtimes(upper, info.ModTime(), info.ModTime()),
		os.Symlink(base, filepath.Join(dir, baseLink)))
}

// unpacked is the folder that has the image's files. Nobody writes there.
func (b *bases) unpacked(ctx context.Context, image string) (string, error) {
	info, err := os.Stat(image)
	if err != nil {
		return "", err
	}
	name := fmt.Sprintf("%s-%d-%d", strings.TrimSuffix(filepath.Base(image), filepath.Ext(image)), info.Size(),
		info.ModTime().UnixNano())
	return b.filled(ctx, name, func(into string) []string {
		return append([]string{"sh", "-c", `mkdir "$1" && chmod 755 "$1" && shift && exec "$@"`, "sh", into},
			unpack(image, into)...)
	})
}

// layerOf is the folder of a disk that is a layer.
func layerOf(disk string) (dir string, ok bool) {
	dir = filepath.Join(disk, layerDir)
	info, err := os.Lstat(filepath.Join(dir, baseLink))
	return dir, err == nil && info.Mode()&fs.ModeSymlink != 0
}

// flat is the disk as one folder, and what removes it again if it was made for this.
func (h *Host) flat(ctx context.Context, disk string) (dir string, done func() error, err error) {
	layer, ok := layerOf(disk)
	if !ok {
		return disk, func() error { return nil }, nil
	}
	dir = disk + ".flat" + partial
	done = func() error { return h.Remove(context.WithoutCancel(ctx), dir) }
	if err := errors.Join(done(), os.MkdirAll(filepath.Join(dir, "merged"), 0o755)); err != nil {
		return "", nil, err
	}
	err = h.runner.fenced(ctx, "sh", "-c", overlayFunction+
		`overlay "$1" "$2/merged" && cp --archive --no-target-directory "$2/merged" "$2/root"`, "sh", layer, dir)
	if err != nil {
		return "", nil, errors.Join(err, done())
	}
	return filepath.Join(dir, "root"), done, nil
}

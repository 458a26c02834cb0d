package github

import (
	"os"
	"sync"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/digest"
)

// digests remembers SHA-256 sums for as long as a file's size and time stay.
type digests struct {
	mu    sync.Mutex
	known map[string]known
}

// racy is how young a file must be for a change within one tick of the file
// system's clock to go unnoticed (git calls such an index entry racy).
const racy = 2 * time.Second

type known struct {
	size  int64
	mtime time.Time
	sum   string
}

// of returns size and "sha256:…" of a regular file, and false when there is none.
func (d *digests) of(path string) (int64, string, bool) {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() {
		return 0, "", false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if k, ok := d.known[path]; ok && k.size == info.Size() && k.mtime.Equal(info.ModTime()) {
		return k.size, k.sum, true
	}
	sum, n, err := digest.OfFile(path)
	if err != nil {
		return 0, "", false
	}
	if d.known == nil {
		d.known = map[string]known{}
	}
	if time.Since(info.ModTime()) > racy {
		d.known[path] = known{n, info.ModTime(), sum.String()}
	}
	return n, sum.String(), true
}

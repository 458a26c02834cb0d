package sigstore

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// What happens at the public instance now and then, and here when a test wants it.

// Limit is what the front of the public Fulcio and Rekor does when they are asked
// too often: it refuses everything for a while, with a page of HTML.
type Limit struct {
	Lasts  time.Duration // from the first refusal on
	Silent bool          // no Retry-After
	Now    func() time.Time
}

// Before puts the front before a handler.
func (l Limit) Before(next http.Handler) http.Handler {
	var once sync.Once
	var ends time.Time
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		once.Do(func() { ends = l.Now().Add(l.Lasts) })
		left := ends.Sub(l.Now())
		if left <= 0 {
			next.ServeHTTP(w, r)
			return
		}
		if !l.Silent {
			w.Header().Set("Retry-After", strconv.Itoa(int((left+time.Second-1)/time.Second)))
		}
		w.Header().Set("Content-Type", "text/html; charset=UTF-8")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = fmt.Fprint(w, limitPage) // the client went away
	})
}

const limitPage = `<!doctype html><meta charset="utf-8"><title>429</title>429 Too Many Requests`

// Rotate replaces the online key and one person's, in a new version of the root
// that the old people and the new ones sign, and signs everything again.
func (t *TUF) Rotate() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	version, err := t.latest(metadata.ROOT)
	if err != nil {
		return err
	}
	current, err := read(metadata.Root(), t.file("%d.root.json", version))
	if err != nil {
		return err
	}
	for _, name := range []string{"online", person(1)} {
		if err := os.Remove(t.key(name)); err != nil {
			return err
		}
	}
	if err := t.newRoot(current); err != nil {
		return err
	}
	targets, err := t.read()
	if err != nil {
		return err
	}
	return t.publish(targets, true)
}

// read reads the published targets.
func (t *TUF) read() (map[string][]byte, error) {
	version, err := t.latest(metadata.TARGETS)
	if err != nil || version == 0 {
		return nil, err
	}
	current, err := read(metadata.Targets(), t.file("%d.targets.json", version))
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	for name, info := range current.Signed.Targets {
		path := t.file("targets/%s.%s", hex.EncodeToString(info.Hashes["sha256"]), name)
		if out[name], err = os.ReadFile(path); err != nil {
			return nil, err
		}
	}
	return out, nil
}

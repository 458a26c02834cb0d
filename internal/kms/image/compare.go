package image

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/calimero-network/mero-tee/internal/base/digest"
)

// Differences compares a released image, read back from its registry, with one
// that was built again, and says in what they differ: which layer, which file of
// it, and which field of the file's header or byte of its content. Nothing is said
// of images with one digest, which are the same byte for byte.
func Differences(ctx context.Context, released name.Digest, again v1.Image, r Remote) ([]string, error) {
	sum, err := again.Digest()
	if err != nil {
		return nil, err
	}
	if sum.String() == released.DigestStr() {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	var out []string
	err = r.read(ctx, released, func(image v1.Image) (err error) {
		out, err = differences(image, again)
		return err
	})
	if err != nil {
		return nil, err
	}
	return append(out, fmt.Sprintf("manifest: %s was released, %s is built now", released.DigestStr(), sum)), nil
}

func differences(a, b v1.Image) (out []string, err error) {
	layersA, err := a.Layers()
	if err != nil {
		return nil, err
	}
	layersB, err := b.Layers()
	if err != nil {
		return nil, err
	}
	if len(layersA) != len(layersB) {
		out = append(out, fmt.Sprintf("layers: %d were released, %d are built now", len(layersA), len(layersB)))
	}
	for i := range min(len(layersA), len(layersB)) {
		lines, err := layerDifferences(layersA[i], layersB[i])
		if err != nil {
			return nil, err
		}
		for _, line := range lines {
			out = append(out, fmt.Sprintf("layer %d: %s", i+1, line))
		}
	}
	lines, err := configDifferences(a, b)
	return append(out, lines...), err
}

// layerDifferences: the compression of a layer may differ where its files do not.
func layerDifferences(a, b v1.Layer) ([]string, error) {
	sumA, err := a.Digest()
	if err != nil {
		return nil, err
	}
	sumB, err := b.Digest()
	if err != nil || sumA == sumB {
		return nil, err
	}
	filesA, err := entriesOf(a)
	if err != nil {
		return nil, err
	}
	filesB, err := entriesOf(b)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, x := range filesA {
		if y, ok := find(filesB, x.Name); !ok {
			out = append(out, fmt.Sprintf("%s was released, and is not built now", x.Name))
		} else {
			out = append(out, x.differences(y)...)
		}
	}
	for _, y := range filesB {
		if _, ok := find(filesA, y.Name); !ok {
			out = append(out, y.Name+" is built now, and was not released")
		}
	}
	if out == nil {
		out = []string{fmt.Sprintf("the same files in other bytes, %s and %s: compressed otherwise, or in another order",
			sumA, sumB)}
	}
	return out, nil
}

// entry is a file or folder of a layer: its header, and its content by the digest of
// each block, so that the first that differs is known without keeping a program in memory.
type entry struct {
	tar.Header
	blocks [][sha256.Size]byte
}

const block = 4096

func find(entries []entry, name string) (entry, bool) {
	for _, e := range entries {
		if e.Name == name {
			return e, true
		}
	}
	return entry{}, false
}

func entriesOf(layer v1.Layer) (out []entry, err error) {
	err = walkLayer(layer, wholeImage(), func(h *tar.Header, r io.Reader) error {
		e := entry{Header: *h}
		for buffer := make([]byte, block); ; {
			n, err := io.ReadFull(r, buffer)
			if n > 0 {
				e.blocks = append(e.blocks, sha256.Sum256(buffer[:n]))
			}
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				break
			}
			if err != nil {
				return err
			}
		}
		out = append(out, e)
		return nil
	})
	return out, err
}

func (e entry) differences(o entry) (out []string) {
	for _, f := range []struct {
		field      string
		was, isNow any
	}{
		{"type", string(e.Typeflag), string(o.Typeflag)},
		{"mode", fmt.Sprintf("%04o", e.Mode), fmt.Sprintf("%04o", o.Mode)},
		{"owner", fmt.Sprintf("%d:%d", e.Uid, e.Gid), fmt.Sprintf("%d:%d", o.Uid, o.Gid)},
		{"time", e.ModTime.UTC().Format(time.RFC3339), o.ModTime.UTC().Format(time.RFC3339)},
		{"size", e.Size, o.Size},
	} {
		if f.was != f.isNow {
			out = append(out, fmt.Sprintf("%s: %s %v was released, %v is built now", e.Name, f.field, f.was, f.isNow))
		}
	}
	for i := range max(len(e.blocks), len(o.blocks)) {
		if i >= len(e.blocks) || i >= len(o.blocks) || e.blocks[i] != o.blocks[i] {
			return append(out, fmt.Sprintf("%s: the content differs within bytes %d to %d, and maybe behind them", e.Name,
				i*block, (i+1)*block-1))
		}
	}
	return out
}

// configDifferences names the fields of the image's configuration, labels among them.
func configDifferences(a, b v1.Image) ([]string, error) {
	rawA, err := a.RawConfigFile()
	if err != nil {
		return nil, err
	}
	rawB, err := b.RawConfigFile()
	if err != nil || bytes.Equal(rawA, rawB) {
		return nil, err
	}
	var was, isNow any
	if err := json.Unmarshal(rawA, &was); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(rawB, &isNow); err != nil {
		return nil, err
	}
	out := valueDifferences("configuration", was, isNow)
	if out == nil {
		out = []string{fmt.Sprintf("configuration: the same content in other bytes, %s and %s", digest.Of(rawA),
			digest.Of(rawB))}
	}
	return out, nil
}

// valueDifferences walks two JSON values side by side and names each place at which they differ.
func valueDifferences(at string, was, isNow any) (out []string) {
	a, isA := was.(map[string]any)
	b, isB := isNow.(map[string]any)
	if !isA || !isB {
		if reflect.DeepEqual(was, isNow) {
			return nil
		}
		return []string{fmt.Sprintf("%s: %s was released, %s is built now", at, short(was), short(isNow))}
	}
	keys := slices.Sorted(maps.Keys(a))
	for _, key := range slices.Sorted(maps.Keys(b)) {
		if _, both := a[key]; !both {
			keys = append(keys, key)
		}
	}
	for _, key := range keys {
		out = append(out, valueDifferences(at+"."+key, a[key], b[key])...)
	}
	return out
}

func short(v any) string {
	if v == nil {
		return "nothing"
	}
	return fmt.Sprintf("%.120q", fmt.Sprint(v))
}

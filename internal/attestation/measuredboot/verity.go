package measuredboot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// Of a dm-verity tree with a superblock. Source: cryptsetup's wiki, DMVerity;
// Linux, dm-verity-target.c.
const (
	block     = 4096
	perBlock  = block / sha256.Size // digests
	superSize = 512
	maxSalt   = 256
	stride    = perBlock * 64 // data blocks that are verified at a time: 32 MiB
	maxBlocks = maxDisk / block
	saltAt    = 88
	saltEnd   = saltAt + maxSalt
	algorithm = "sha256"
)

// tree is a hash tree and what it is over.
type tree struct {
	reader *io.SectionReader
	salt   []byte
	blocks int64   // of data
	levels []level // the lowest, whose digests are of data, first
}

// level is one row of blocks of digests.
type level struct{ at, blocks int64 }

// openTree reads a superblock and says where the levels are.
func openTree(reader *io.SectionReader, root int64) (*tree, error) {
	b := make([]byte, block)
	if err := readAt(reader, b, 0, "the superblock of the hash tree"); err != nil {
		return nil, err
	}
	u32 := func(at int) int64 { return int64(binary.LittleEndian.Uint32(b[at:])) }
	if string(b[:8]) != "verity\x00\x00" {
		return nil, refusal("the hash tree has no superblock")
	}
	for _, n := range []struct {
		what      string
		want, got int64
	}{{"version", 1, u32(8)}, {"hash type", 1, u32(12)}, {"data block size", block, u32(64)},
		{"hash block size", block, u32(68)}} {
		if n.want != n.got {
			return nil, fault.Mismatch("the hash tree's superblock is not ours: "+n.what, fmt.Sprint(n.want), fmt.Sprint(n.got))
		}
	}
	if name := string(bytes.TrimRight(b[32:64], "\x00")); name != algorithm {
		return nil, fault.Mismatch("the hash tree's superblock is not ours: algorithm", algorithm, fmt.Sprintf("%q", name))
	}
	blocks, salt := binary.LittleEndian.Uint64(b[72:]), int(binary.LittleEndian.Uint16(b[80:]))
	if salt > maxSalt || !zero(b[82:saltAt]) || !zero(b[saltAt+min(salt, maxSalt):superSize]) || !zero(b[superSize:]) {
		return nil, refusal("the hash tree's superblock has a salt that is too long, or something behind it")
	}
	if blocks < 2 || blocks > maxBlocks || int64(blocks)*block > root {
		return nil, fault.Mismatch("the hash tree is not over the root", fmt.Sprintf("2 to %d blocks", root/block),
			fmt.Sprint(blocks))
	}
	t := &tree{reader: reader, salt: b[saltAt : saltAt+salt], blocks: int64(blocks)}
	return t, t.place()
}

// place puts the levels behind the superblock, the highest first.
func (t *tree) place() error {
	for n := t.blocks; n > 1; {
		n = (n + perBlock - 1) / perBlock
		t.levels = append(t.levels, level{blocks: n})
	}
	at := int64(block)
	for i := len(t.levels) - 1; i >= 0; i-- {
		t.levels[i].at = at
		at += t.levels[i].blocks * block
	}
	if at > t.reader.Size() {
		return fault.Mismatch("the hash tree does not fit its partition", fmt.Sprintf("%d bytes", t.reader.Size()),
			fmt.Sprintf("%d bytes", at))
	}
	return nil
}

// end is where the tree ends in its partition.
func (t *tree) end() int64 {
	return t.levels[0].at + t.levels[0].blocks*block
}

// verify reads everything: the highest block is of the root hash, each block
// of the digest above it, the data of the lowest level; what is behind both is empty.
func (t *tree) verify(ctx context.Context, data *io.SectionReader, want digest.Digest) error {
	top := make([]byte, block)
	if err := readAt(t.reader, top, t.levels[len(t.levels)-1].at, "the hash tree"); err != nil {
		return err
	}
	if got := t.hash(top, nil); got != want {
		return fault.Mismatch("the hash tree is not of the command line's root hash", want.Hex(), got.Hex())
	}
	for i := len(t.levels) - 1; i > 0; i-- {
		lower := io.NewSectionReader(t.reader, t.levels[i-1].at, t.levels[i-1].blocks*block)
		if err := t.compare(ctx, t.levels[i], lower, "the hash tree's level "+fmt.Sprint(i)); err != nil {
			return err
		}
	}
	if err := t.compare(ctx, t.levels[0], io.NewSectionReader(data, 0, t.blocks*block), "the root"); err != nil {
		return err
	}
	if err := empty(ctx, data, t.blocks*block, "the root"); err != nil {
		return err
	}
	return empty(ctx, t.reader, t.end(), "the hash tree")
}

// hash is a block's digest: the salt, then the block.
func (t *tree) hash(b, scratch []byte) digest.Digest {
	return sha256.Sum256(append(append(scratch[:0], t.salt...), b...))
}

// compare says whether the blocks of lower have the digests of a level.
func (t *tree) compare(ctx context.Context, l level, lower *io.SectionReader, what string) error {
	g, parts := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	count := lower.Size() / block
	for first := int64(0); first < count && parts.Err() == nil; first += stride {
		g.Go(func() error {
			if err := parts.Err(); err != nil {
				return err
			}
			return t.comparePart(l, lower, first, min(stride, count-first), what)
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

func (t *tree) comparePart(l level, lower *io.SectionReader, first, n int64, what string) error {
	digests := make([]byte, (n+perBlock-1)/perBlock*block)
	if err := readAt(t.reader, digests, l.at+first/perBlock*block, "the hash tree"); err != nil {
		return err
	}
	b, scratch := make([]byte, perBlock*block), make([]byte, 0, maxSalt+block)
	for at := int64(0); at < n; at += perBlock {
		part := b[:min(perBlock, n-at)*block]
		if err := readAt(lower, part, (first+at)*block, what); err != nil {
			return err
		}
		for i := int64(0); i*block < int64(len(part)); i++ {
			got := t.hash(part[i*block:][:block], scratch)
			if want := digests[(at+i)*sha256.Size:][:sha256.Size]; !bytes.Equal(got[:], want) {
				return fault.Mismatch(fmt.Sprintf("block %d of %s is not of its hash tree", first+at+i, what),
					fmt.Sprintf("%x", want), got.Hex())
			}
		}
	}
	if !zero(digests[n*sha256.Size:]) {
		return refusal("the hash tree has digests of no block behind those of %s", what)
	}
	return nil
}

// empty says whether a partition has nothing behind what is verified.
func empty(ctx context.Context, r *io.SectionReader, at int64, what string) error {
	b := make([]byte, mebibyte)
	for ; at < r.Size(); at += mebibyte {
		part := b[:min(mebibyte, r.Size()-at)]
		if err := readAt(r, part, at, what); err != nil {
			return err
		}
		if !zero(part) {
			return refusal("the partition of %s has something behind %s", what, what)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

package disktest

import (
	"crypto/sha256"
	"encoding/binary"
)

const block = 4096

// Tree is the dm-verity tree of data, with a superblock, and its root hash.
func Tree(data, salt []byte) (tree []byte, root [sha256.Size]byte) {
	super := make([]byte, block)
	copy(super, "verity\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00")
	copy(super[16:], "a hash tree's id")
	copy(super[32:], "sha256")
	binary.LittleEndian.PutUint32(super[64:], block)
	binary.LittleEndian.PutUint32(super[68:], block)
	binary.LittleEndian.PutUint64(super[72:], uint64(len(data)/block))
	binary.LittleEndian.PutUint16(super[80:], uint16(len(salt))) //nolint:gosec // a test's disk is small
	copy(super[88:], salt)
	var levels [][]byte
	for below := data; len(below) > block; below = levels[len(levels)-1] {
		var level []byte
		for ; len(below) > 0; below = below[block:] {
			sum := hash(salt, below[:block])
			level = append(level, sum[:]...)
		}
		levels = append(levels, fill(level, block))
	}
	tree = super
	for i := len(levels) - 1; i >= 0; i-- {
		tree = append(tree, levels[i]...)
	}
	return tree, hash(salt, levels[len(levels)-1])
}

func hash(salt, b []byte) [sha256.Size]byte {
	return sha256.Sum256(append(append(make([]byte, 0, len(salt)+block), salt...), b...))
}

package machine

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

// banks is a TPM's answer to who asks for its banks: hash, size of the selection, selection.
func banks(list ...[]byte) []byte {
	b := bytes.Join(list, nil)
	out := append([]byte{0x80, 1, 0, 0, 0, byte(19 + len(b)), 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, byte(len(list))}, b...)
	return out
}

func TestATPMHasOneHash(t *testing.T) {
	t.Parallel()
	sha1, sha384 := []byte{0, 4, 3, 0, 0, 0}, []byte{0, 12, 3, 255, 255, 255}
	require.Equal(t, banks(sha384), onlySHA384(banks(sha1, sha384, []byte{0, 13, 3, 0, 0, 0})))
	require.Equal(t, banks(), onlySHA384(banks(sha1)))
	for name, answer := range map[string][]byte{
		"another capability": append([]byte{0x80, 1, 0, 0, 0, 19, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0}, sha1...),
		"an error":           {0x80, 1, 0, 0, 0, 10, 0, 0, 1, 1},
		"cut":                banks(sha1, sha384)[:23],
		"empty":              {},
	} {
		require.Equal(t, answer, onlySHA384(answer), name)
	}
}

// tpm answers every command with the same.
type tpm struct {
	bytes.Buffer
	asked bytes.Buffer
}

func (p *tpm) Write(b []byte) (int, error) { return p.asked.Write(b) }

type emulator struct {
	bytes.Reader
	said bytes.Buffer
}

func (e *emulator) Write(b []byte) (int, error) { return e.said.Write(b) }

func TestExchange(t *testing.T) {
	t.Parallel()
	capability := []byte{0x80, 1, 0, 0, 0, 10, 0, 0, 1, 0x7a}
	other := []byte{0x80, 1, 0, 0, 0, 11, 0, 0, 1, 0x7e, 9}
	all, one := banks([]byte{0, 4, 3, 0, 0, 0}, []byte{0, 12, 3, 1, 0, 0}), banks([]byte{0, 12, 3, 1, 0, 0})
	var far tpm
	_, _ = far.Buffer.Write(all) // a buffer's
	_, _ = far.Buffer.Write(all) // the same
	near := &emulator{Reader: *bytes.NewReader(append(append([]byte(nil), capability...), other...))}
	require.EqualError(t, exchange(near, &far), "EOF")
	require.Equal(t, append(append([]byte(nil), capability...), other...), far.asked.Bytes())
	require.Equal(t, append(append([]byte(nil), one...), all...), near.said.Bytes(), "what nobody asked for is left alone")
	for _, size := range []uint32{0, 9, maxCommand + 1} {
		b := binary.BigEndian.AppendUint32([]byte{0x80, 1}, size)
		_, err := readTPM(bytes.NewReader(append(b, 0, 0, 1, 0x7a)))
		require.ErrorContains(t, err, "a TPM's command of")
	}
}

// No answer grows, and none breaks the link.
func FuzzOnlySHA384(f *testing.F) {
	f.Add(banks([]byte{0, 4, 3, 0, 0, 0}, []byte{0, 12, 3, 1, 0, 0}))
	f.Fuzz(func(t *testing.T, answer []byte) {
		require.LessOrEqual(t, len(onlySHA384(answer)), len(answer))
	})
}

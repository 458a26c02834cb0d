package tdx_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
)

func TestParseCCELReplays(t *testing.T) {
	t.Parallel()
	td, log := bootLog(t, newWorld(t))
	raw := log.CCEL()
	for name, area := range map[string][]byte{
		"filled with ff": raw,
		"filled with 0":  slices.Concat(raw[:len(raw)-4096], make([]byte, 100)),
		"full":           raw[:len(raw)-4096],
	} {
		events, err := tdx.ParseCCEL(area)
		require.NoError(t, err, name)
		require.Len(t, events, 16)
		requireReplays(t, events, td.Registers(), 4)
	}
}

func TestParseCCELRefuses(t *testing.T) {
	t.Parallel()
	_, log := bootLog(t, newWorld(t))
	raw := log.CCEL()
	const event = 32 + 33 // where the first event begins
	change := func(at int, b byte) []byte {
		changed := bytes.Clone(raw)
		changed[at] = b
		return changed
	}
	for name, tc := range map[string]struct {
		in   []byte
		want string
	}{
		"empty":            {nil, "Spec ID"},
		"header's type":    {change(4, 4), "Spec ID"},
		"header's name":    {change(32, 'X'), "Spec ID"},
		"header's size":    {change(31, 0xff), "Spec ID"},
		"register":         {change(event, 5), "register 5"},
		"digest count":     {change(event+8, 2), "with 2 digests"},
		"digest algorithm": {change(event+12, 0x0b), "algorithm 0xb"},
		"payload size":     {change(event+14+48+3, 0x7f), "ends inside"},
		"ends inside":      {raw[:event+20], "event 0: event log ends inside"},
		"dirty area":       {change(len(raw)-1, 1), "event 16"},
		"too large":        {make([]byte, 1<<20+1), "larger than"},
		"too many":         {append(bytes.Clone(raw[:event]), bytes.Repeat(raw[event:event+70], 4097)...), "more than 4096"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := tdx.ParseCCEL(tc.in)
			require.ErrorContains(t, err, tc.want)
		})
	}
}

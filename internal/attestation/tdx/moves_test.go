package tdx_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
)

// flag is an event of a name, a measurement and a register.
func flag(name string, digest byte, rtmr int) tdx.Event {
	return tdx.Event{RTMR: rtmr, Type: 0xa, Payload: []byte(name), Digest: tdx.Register{digest}}
}

func TestMoves(t *testing.T) {
	t.Parallel()
	log := []tdx.Event{flag("a", 1, 0), flag("b", 2, 0), flag("b", 3, 0), flag("x", 9, 1), flag("c", 4, 0)}
	none := tdx.Event{Type: tdx.NoActionEvent}
	for name, tc := range map[string]struct {
		after []tdx.Event
		want  []string
	}{
		"the same":               {log, nil},
		"another register":       {append(log[:3:3], flag("x", 8, 1), log[4]), nil},
		"what is not extended":   {append(log[:2:2], none, log[2], log[4]), nil},
		"one value":              {[]tdx.Event{log[0], flag("b", 7, 0), log[2], log[4]}, []string{"b 2 7"}},
		"the second of a name":   {[]tdx.Event{log[0], log[1], flag("b", 7, 0), log[4]}, []string{"b 3 7"}},
		"one more in the middle": {[]tdx.Event{log[0], flag("b", 7, 0), log[1], log[2], log[4]}, []string{"b - 7"}},
		"one fewer":              {[]tdx.Event{log[0], log[2], log[4]}, []string{"b 2 -"}},
		"another name":           {[]tdx.Event{log[0], log[1], log[2], flag("d", 4, 0)}, nil},
		"another name and value": {[]tdx.Event{log[0], log[1], log[2], flag("d", 5, 0)}, []string{"c 4 -", "d - 5"}},
		"another order":          {[]tdx.Event{log[1], log[0], log[2], log[4]}, []string{"a 1 -", "a - 1"}},
		"nothing at all":         {nil, []string{"a 1 -", "b 2 -", "b 3 -", "c 4 -"}},
		"several, and one between": {[]tdx.Event{flag("a", 7, 0), log[1], flag("c", 8, 0)},
			[]string{"a 1 7", "b 3 -", "c 4 8"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, m := range tdx.Moves(log, tc.after, 0) {
				line := m.Name()[len("platform configuration "):]
				for _, e := range []*tdx.Event{m.Before, m.After} {
					if e == nil {
						line += " -"
					} else {
						line += fmt.Sprintf(" %d", e.Digest[0])
					}
				}
				got = append(got, line)
			}
			require.Equal(t, tc.want, got)
		})
	}
}

package guard_test

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/verify/guard"
)

// A repository that is read again is read as it is now.
func TestReaderFollowsWhatChanged(t *testing.T) {
	t.Parallel()
	script := func(uses string) *fstest.MapFile { return &fstest.MapFile{Data: []byte("#!/bin/sh\n. " + uses + "\n")} }
	repository := fstest.MapFS{"scripts/a.sh": script("lib/b.sh"), "lib/b.sh": {Data: []byte("x=1\n")},
		"lib/c.sh": {Data: []byte("x=2\n")}}
	var r guard.Reader
	read := func() (out []string) {
		files, err := r.Workflows(repository)
		require.NoError(t, err)
		for _, f := range files {
			out = append(out, f.Path+" "+string(f.Data))
		}
		return out
	}
	first := read()
	require.Contains(t, first, "lib/b.sh x=1\n")
	require.Equal(t, first, read())
	repository["lib/b.sh"] = &fstest.MapFile{Data: []byte("x=3\n")}
	require.Contains(t, read(), "lib/b.sh x=3\n")
	repository["scripts/a.sh"] = script("lib/c.sh")
	require.NotContains(t, read(), "lib/b.sh x=3\n")
	require.Contains(t, read(), "lib/c.sh x=2\n")
}

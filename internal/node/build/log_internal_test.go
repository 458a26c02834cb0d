package build

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHeadlines(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"==> googlecompute.node: Creating instance...":                        "Creating instance...",
		"    googlecompute.node: TASK [base : Install the missing ones] ****": "Ansible: base : Install the missing ones",
		"    googlecompute.node: fatal: [default]: FAILED! => {}":             "fatal: [default]: FAILED! => {}",
		"    googlecompute.node: changed: [default]":                          "",
		"    googlecompute.node:":                                             "",
		"":                                                                    "",
	} {
		require.Equal(t, want, headline(line), line)
	}
	var file bytes.Buffer
	var said []string
	log := &buildLog{file: &file, say: func(s string) { said = append(said, s) }}
	log.line("==> googlecompute.node: Creating image...")
	log.line("    googlecompute.node: ok: [default]")
	require.Equal(t, []string{"Creating image..."}, said)
	require.Contains(t, file.String(), "ok: [default]\n", "the file keeps everything")
}

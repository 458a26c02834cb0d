package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/compose"
	"github.com/calimero-network/mero-tee/internal/release"
)

const smallCompose = `services:
  web:
    image: ghcr.io/acme/web@sha256:0000000000000000000000000000000000000000000000000000000000000001
    environment:
      NAME: "${NAME}"
`

// "Normalize and hash the Docker Compose file", without a release.
func TestHashOfAComposeFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	file := write("compose.yaml", smallCompose)
	env := write("values", "# whose it is\n\nNAME=ann\n")
	canonical, err := compose.Canonical(t.Context(), []byte(smallCompose), map[string]string{"NAME": "ann"})
	require.NoError(t, err)
	app, err := compose.AppCompose(release.Debug, canonical)
	require.NoError(t, err)
	released := write("app-compose-debug.json", string(app))
	other := write("same.yaml", "# a comment\n"+strings.ReplaceAll(smallCompose, `"${NAME}"`, "${NAME}"))
	itself := write("canonical.json", string(canonical))
	for name, tc := range map[string]struct {
		file ComposeFile
		want digest.Digest
	}{
		"the canonical form":              {ComposeFile{Path: file, Env: env}, digest.Of(canonical)},
		"written in another way":          {ComposeFile{Path: other, Env: env}, digest.Of(canonical)},
		"the canonical form of itself":    {ComposeFile{Path: itself}, digest.Of(canonical)},
		"as it is deployed":               {ComposeFile{Path: file, Env: env, Profile: "debug"}, compose.Hash(app)},
		"an app-compose file's own bytes": {ComposeFile{Path: released}, compose.Hash(app)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			require.NoError(t, ComposeHash(t.Context(), &out, tc.file))
			require.Equal(t, tc.want.String()+"  "+tc.file.Path+"\n", out.String())
		})
	}
	require.Contains(t, string(canonical), `"NAME":"ann"`)
}

func TestWhatIsNoComposeFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	file := write("compose.yaml", smallCompose)
	env := write("values", "NAME=ann\n")
	canonical, err := compose.Canonical(t.Context(), []byte(smallCompose), map[string]string{"NAME": "ann"})
	require.NoError(t, err)
	app, err := compose.AppCompose(release.Debug, canonical)
	require.NoError(t, err)
	released := write("app-compose-debug.json", string(app))
	for name, f := range map[string]ComposeFile{
		"no file":              {Env: env},
		"not there":            {Path: filepath.Join(dir, "nothing")},
		"a folder":             {Path: dir},
		"text":                 {Path: write("text", "hello\n")},
		"nothing":              {Path: write("empty", "")},
		"too large":            {Path: write("large.yaml", smallCompose+"#"+strings.Repeat("x", 64<<10)), Env: env},
		"too large to read":    {Path: write("huge.yaml", strings.Repeat("x", 32<<20))},
		"two documents":        {Path: write("two.yaml", smallCompose+"---\n"+smallCompose), Env: env},
		"built, not pinned":    {Path: write("build.yaml", "services: {web: {build: .}}\n")},
		"an image by its tag":  {Path: write("tag.yaml", "services: {web: {image: 'nginx:1'}}\n")},
		"a value is missing":   {Path: file},
		"a value that is none": {Path: file, Env: write("quoted", "NAME=\"ann\"\n")},
		"a value twice":        {Path: file, Env: write("twice", "NAME=ann\nNAME=bob\n")},
		"no name":              {Path: file, Env: write("bare", "ann\n")},
		"an unused value":      {Path: file, Env: write("more", "NAME=ann\nOTHER=x\n")},
		"no profile":           {Path: file, Env: env, Profile: "open"},
		"another app":          {Path: write("app.json", `{"allowed_envs":[],"manifest_version":2}`)},
		"an app and a profile": {Path: released, Profile: "debug"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			err := ComposeHash(t.Context(), &out, f)
			require.Equal(t, fault.Usage, fault.CodeOf(err), "%v", err)
			require.Empty(t, out.String())
		})
	}
}

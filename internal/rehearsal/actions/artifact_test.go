package actions_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/rehearsal/actions"
)

func TestAnArtifactsNameIsTakenOnce(t *testing.T) {
	t.Parallel()
	const jobs = `  a:
    runs-on: u
    steps:
      - run: mkdir d && echo > d/x
      - {uses: ` + upload + `, with: {name: n, path: d}}
      - {uses: ` + upload + `, with: {name: n, path: d, overwrite: OVERWRITE}}
`
	r := started(t, strings.ReplaceAll(jobs, "OVERWRITE", "false"), actions.Options{})
	require.Equal(t, actions.Failure, r.Result())
	require.Contains(t, log(t, r, "a"), "already exists")
	r = started(t, strings.ReplaceAll(jobs, "OVERWRITE", "true"), actions.Options{})
	require.Equal(t, actions.Success, r.Result())
}

func TestAnOverwrittenArtifactHasNothingOfTheOld(t *testing.T) {
	t.Parallel()
	r := started(t, `  a:
    runs-on: u
    steps:
      - run: mkdir d && echo > d/old
      - {uses: `+upload+`, with: {name: n, path: d}}
      - run: mv d/old d/new
      - {uses: `+upload+`, with: {name: n, path: d, overwrite: true}}
      - {uses: `+download+`, with: {name: n, path: e}}
      - run: test "$(ls e)" = new
`, actions.Options{})
	require.Equal(t, actions.Success, r.Result(), log(t, r, "a"))
}

func TestWhatAnArtifactLoses(t *testing.T) {
	t.Parallel()
	r := started(t, `  a:
    runs-on: u
    steps:
      - run: |
          mkdir -p d/empty d/.hidden d/kept
          echo > d/.secret; echo > d/.hidden/x
          echo > d/kept/program; chmod 700 d/kept/program
          ln -s kept/program d/link
      - {uses: `+upload+`, with: {name: n, path: d}}
      - {uses: `+download+`, with: {name: n, path: e}}
      - run: cd e && echo "<$(find . -type f -printf '%P %m\n' | sort | xargs)><$(find . -type d | sort | xargs)>"
`, actions.Options{})
	require.Contains(t, log(t, r, "a"), "<kept/program 644 link 644><. ./kept>")
}

func TestAFolderWithoutFilesIsNoArtifact(t *testing.T) {
	t.Parallel()
	r := started(t, `  a:
    runs-on: u
    steps:
      - run: mkdir d
      - {uses: `+upload+`, with: {name: n, path: d}}
      - {uses: `+upload+`, with: {name: m, path: nowhere}}
      - {uses: `+download+`, with: {name: n, path: e}}
`, actions.Options{})
	require.Equal(t, actions.Failure, r.Result())
	require.Contains(t, log(t, r, "a"), "artifact not found for name: n")
}

func TestAnArtifactsNameIsPlain(t *testing.T) {
	t.Parallel()
	r := started(t, `  a:
    runs-on: u
    steps:
      - run: mkdir d && echo > d/x
      - {uses: `+upload+`, with: {name: 'a/b', path: d}}
`, actions.Options{})
	require.Equal(t, actions.Failure, r.Result())
}

func TestADownloadOfWhatIsMissing(t *testing.T) {
	t.Parallel()
	r := started(t, `  name: {runs-on: u, steps: [{uses: `+download+`, with: {name: n, path: d}}]}
  advisory: {runs-on: u, steps: [{uses: `+download+`, continue-on-error: true, with: {name: n, path: d}}]}
  pattern: {runs-on: u, steps: [{uses: `+download+`, with: {pattern: 'n-*', path: d}}]}
`, actions.Options{})
	require.Equal(t, actions.Failure, result(t, r, "name"))
	require.Equal(t, actions.Success, result(t, r, "advisory"))
	require.Equal(t, actions.Success, result(t, r, "pattern"), "a pattern may find nothing")
}

func TestAPatternMakesAFolderForEach(t *testing.T) {
	t.Parallel()
	r := started(t, `  a:
    runs-on: u
    steps:
      - run: mkdir d && echo > d/x
      - {uses: `+upload+`, with: {name: n-1, path: d}}
      - {uses: `+upload+`, with: {name: n-2, path: d}}
      - {uses: `+upload+`, with: {name: other, path: d}}
      - {uses: `+download+`, with: {pattern: 'n-*', path: e}}
      - run: echo "<$(cd e && find . -type f | sort | xargs)>"
`, actions.Options{})
	require.Contains(t, log(t, r, "a"), "<./n-1/x ./n-2/x>")
}

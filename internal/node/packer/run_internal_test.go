package packer

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/gce"
	"github.com/calimero-network/mero-tee/internal/release"
)

// pretend is a Packer whose program is a shell script.
func pretend(t *testing.T, script string) *Packer {
	t.Helper()
	program := filepath.Join(t.TempDir(), "packer")
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\n"+script), 0o755))
	return &Packer{root: "../../..", program: program, plugins: "/plugins"}
}

// order is complete.
func order(t *testing.T) BuildRequest {
	t.Helper()
	dir := t.TempDir()
	o := BuildRequest{Profile: release.LockedReadOnly, Version: release.Version{Major: 1},
		ContentID: strings.Repeat("0badcafe", 8), Project: "p", Zone: "z",
		InstanceName: "vm", Labels: map[string]string{"owner": "mero-tee"}, CompanionsDir: dir,
		AgentBinary:     filepath.Join(dir, "mero-agent"),
		Agent:           Companion{Name: "mero-agent", Version: "1.0.0", Source: "here"},
		PredictorBinary: filepath.Join(dir, "mero-predict"),
		Predictor:       Companion{Name: "mero-predict", SHA256: digest.Of([]byte("mero-predict"))},
		Output:          filepath.Join(t.TempDir(), "out")}
	for _, name := range []string{"merod", "traefik", "mero-agent", "mero-predict"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(name), 0o755))
		if !strings.HasPrefix(name, "mero-") {
			o.Companions = append(o.Companions, Companion{Name: name, Version: "1", SHA256: digest.Of([]byte(name)),
				Source: "there"})
		}
	}
	o.Agent.SHA256 = digest.Of([]byte("mero-agent"))
	return o
}

func TestBuildHandsOverFilesAndNoSecret(t *testing.T) {
	t.Setenv("MERO_TEST_SECRET", "inherited")
	p := pretend(t, `for word; do echo "argument $word"; done
env
last=; for word; do case $word in -var-file=*.json) last=${word#-var-file=}; esac; done
cat "$last"
touch "$(dirname "$last")/record.json"`)
	o := order(t)
	var said strings.Builder
	o.Log = func(line string) { said.WriteString(line + "\n") }
	o.Env = []string{"GOOGLE_CREDENTIALS=given", "HTTPS_PROXY=http://127.0.0.1:1"}
	record, err := p.Build(t.Context(), o)
	require.NoError(t, err)
	require.Equal(t, filepath.Join(o.Output, "record.json"), record)
	for _, want := range []string{"argument build\n", "argument -color=false\n", "profiles/locked-read-only.pkrvars.hcl\n",
		"packer/base.pkrvars.hcl\n",
		"CHECKPOINT_DISABLE=1\n", "PACKER_PLUGIN_PATH=/plugins\n", "GOOGLE_CREDENTIALS=given\n",
		"HTTPS_PROXY=http://127.0.0.1:1\n",
		`"image_name": "mero-tee-locked-read-only-1-0-0-0badcafe"`, `"content": "0badcafe"`, `"instance_name": "vm"`} {
		require.Contains(t, said.String(), want)
	}
	require.NotContains(t, said.String(), "inherited")
	require.NotContains(t, said.String(), "argument given")
	require.NotContains(t, said.String(), "-force", "an image is never overwritten")
	program, err := os.ReadFile(filepath.Join(o.Output, "programs/usr/lib/mero/merod"))
	require.NoError(t, err)
	require.Equal(t, "merod", string(program))
	binaries, err := os.ReadFile(filepath.Join(o.Output, "binaries.json"))
	require.NoError(t, err)
	require.Contains(t, string(binaries), `"name": "mero-agent"`)
	require.NotContains(t, string(binaries), "mero-predict", "it is not in the image")
	require.NoFileExists(t, filepath.Join(o.Output, "programs/usr/lib/mero/mero-predict"))
	require.FileExists(t, filepath.Join(o.Output, "tools/run/mero/mero-predict"))
	require.Contains(t, said.String(), `"tools_dir": "`+filepath.Join(o.Output, "tools")+`"`)
}

func TestBuildSaysWhatPackerSaid(t *testing.T) {
	t.Parallel()
	_, err := pretend(t, "echo '==> fine'; echo '==> Image x already exists: error' >&2; exit 3").
		Build(t.Context(), order(t))
	require.ErrorContains(t, err, "packer build of locked-read-only: exit status 3: ==> Image x already exists: error")
	_, err = pretend(t, "exit 0").Build(t.Context(), order(t))
	require.ErrorContains(t, err, "left no record")
	require.Equal(t, fault.MissingAsset, fault.CodeOf(err))
}

// What stopped a build at Google stands in a list below the line that says "error".
func TestBuildSaysWhatGoogleSaid(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ said, hint string }{
		{"The zone 'projects/p/zones/z' does not have enough resources available to fulfill the request.  Try a different " +
			"zone, or try again later.", "set GCP_ZONE to another zone with TDX"},
		{"Quota 'C3_CPUS' exceeded.  Limit: 24.0 in region us-central1.", "mage sweep"},
		{"googleapi: Error 403: Required 'compute.images.create' permission for 'projects/p/global/images/i', forbidden",
			"grant compute.images.create to the service account"},
	} {
		script := "cat <<'END'\n==> googlecompute.node: Error creating instance: 1 error(s) occurred:\n" +
			"==> googlecompute.node:\n==> googlecompute.node: * " + tc.said + "\nEND\nexit 1"
		_, err := pretend(t, script).Build(t.Context(), order(t))
		require.ErrorContains(t, err, tc.said)
		var f *fault.Error
		require.ErrorAs(t, err, &f)
		require.Contains(t, f.Hint, tc.hint)
	}
	require.Empty(t, gce.Advice("Build 'googlecompute.node' errored after 3 seconds"))
}

func TestBuildRefusesOtherPrograms(t *testing.T) {
	t.Parallel()
	p := pretend(t, "exit 0")
	o := order(t)
	o.Companions[0].SHA256 = digest.Of([]byte("other"))
	_, err := p.Build(t.Context(), o)
	require.Equal(t, fault.Verification, fault.CodeOf(err))
	o = order(t)
	require.NoError(t, os.Remove(filepath.Join(o.CompanionsDir, "traefik")))
	_, err = p.Build(t.Context(), o)
	require.Equal(t, fault.MissingAsset, fault.CodeOf(err))
	o = order(t)
	o.Predictor.SHA256 = digest.Of([]byte("other"))
	_, err = p.Build(t.Context(), o)
	require.Equal(t, fault.Verification, fault.CodeOf(err))
	o = order(t)
	o.ContentID = "short"
	_, err = p.Build(t.Context(), o)
	require.Equal(t, fault.Usage, fault.CodeOf(err))
}

// An old record must not pass for the result of a build that made none.
func TestBuildForgetsTheRecordOfAnEarlierBuild(t *testing.T) {
	t.Parallel()
	o := order(t)
	require.NoError(t, os.MkdirAll(o.Output, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(o.Output, "record.json"), nil, 0o644))
	_, err := pretend(t, "exit 0").Build(t.Context(), o)
	require.ErrorContains(t, err, "left no record")
}

func TestCancellationInterruptsAndWaits(t *testing.T) {
	t.Parallel()
	cleaned := filepath.Join(t.TempDir(), "cleaned")
	p := pretend(t, `trap 'touch "`+cleaned+`"; exit 1' INT; echo ready; while :; do read -r _ < "$0.fifo" || :; done`)
	require.NoError(t, mkfifo(p.program+".fifo"))
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped by the test")
	o := order(t)
	o.Log = func(line string) {
		if line == "ready" {
			cancel(stopped)
		}
	}
	_, err := p.Build(ctx, o)
	require.ErrorIs(t, err, stopped)
	require.FileExists(t, cleaned)
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	p := pretend(t, `trap 'exit 1' INT; while :; do read -r _ < "$0.fifo" || :; done`)
	require.NoError(t, mkfifo(p.program+".fifo"))
	o := order(t)
	o.Deadline = 50 * time.Millisecond
	_, err := p.Build(t.Context(), o)
	require.ErrorContains(t, err, "not done in 50ms")
}

func TestLongLinesDoNotBlock(t *testing.T) {
	t.Parallel()
	_, err := pretend(t, "head -c 3000000 /dev/zero | tr '\\0' x; exit 4").Build(t.Context(), order(t))
	require.ErrorContains(t, err, "exit status 4")
}

// A killed build leaves a key of its VM; the next build of the same order removes it.
func TestBuildRemovesWhatAKilledOneLeft(t *testing.T) {
	t.Parallel()
	o := order(t)
	home, _, err := command{name: o.Output}.home()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(home, "ansible-key1"), nil, 0o600))
	var said []string
	o.Log = func(line string) { said = append(said, line) }
	_, err = pretend(t, `ls -a "$HOME"; exit 1`).Build(t.Context(), o)
	require.Error(t, err)
	require.NotContains(t, said, "ansible-key1")
	require.NoDirExists(t, home)
}

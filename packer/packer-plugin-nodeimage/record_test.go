package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	registryimage "github.com/hashicorp/packer-plugin-sdk/packer/registry/image"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot"
	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot/disktest"
	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/node/image"
)

var (
	contentID = strings.Repeat("0badcafe", 8)
	agent     = digest.Of([]byte("agent"))
	manifest  = fmt.Sprintf("file\t/usr/lib/mero/mero-agent\t0755\t0:0\t%x\n"+
		"package\tbase-files\t13\tamd64\tbase-files\t13\n", agent[:])
)

// block is a complete configuration, with its files.
func block(t *testing.T) map[string]any {
	t.Helper()
	dir := t.TempDir()
	disk := disktest.Make(disktest.Spec{Profile: "debug", Content: digest.Of([]byte(manifest)).Hex()})
	read, err := measuredboot.Open(disk.Reader(), int64(len(disk)))
	require.NoError(t, err)
	boot, err := json.Marshal(read.Boot())
	require.NoError(t, err)
	report := fmt.Sprintf("ansible 2.14.18\nboot %s\n%s", boot, manifest)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "report.txt"), []byte(report), 0o644))
	binaries, err := canonical.Marshal([]image.Binary{{Name: "mero-agent", Version: "1.0.0", SHA256: agent,
		Source: "here"}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "binaries.json"), binaries, 0o644))
	return map[string]any{"profile": "debug", "release": "1.0.0", "commit": strings.Repeat("01", 20),
		"content_id": contentID,
		"base_image": "ubuntu-2404-tdx-v20250101", "base_image_project": "confidential-vm-images", "googlecompute": "1.2.5",
		"ansible_plugin": "1.0.3",
		"binaries":       filepath.Join(dir, "binaries.json"), "report": filepath.Join(dir, "report.txt"),
		"output":              filepath.Join(dir, "record.json"),
		"packer_core_version": "1.9.4"}
}

// artifact is what the googlecompute builder hands over, as a map once it has crossed the RPC.
func artifact(change func(labels map[string]string, state map[string]any)) *packersdk.MockArtifact {
	const name = "mero-tee-debug-1-0-0-0badcafe"
	labels := map[string]string{"project_id": "p",
		"self_link": "https://www.googleapis.com/compute/v1/projects/p/global/images/" + name}
	state := map[string]any{"Labels": labels, "SourceImageID": "ubuntu-2404-tdx-v20250101"}
	if change != nil {
		change(labels, state)
	}
	return &packersdk.MockArtifact{IdValue: name, StateValues: map[string]any{registryimage.ArtifactStateURI: state}}
}

func TestWritesTheRecord(t *testing.T) {
	t.Parallel()
	config := block(t)
	var p PostProcessor
	require.NoError(t, p.Configure(config))
	ui := &packersdk.MockUi{}
	kept, keep, force, err := p.PostProcess(t.Context(), ui, artifact(nil))
	require.NoError(t, err)
	require.True(t, keep && force, "the image stays")
	require.Equal(t, "mero-tee-debug-1-0-0-0badcafe", kept.Id())
	require.Contains(t, ui.SayMessages[0].Message, "1 packages, 1 files")
	data, err := os.ReadFile(config["output"].(string))
	require.NoError(t, err)
	record, err := image.Decode(data)
	require.NoError(t, err)
	require.Equal(t, digest.Of([]byte(manifest)), record.Content)
	require.Equal(t, image.Tools{Packer: "1.9.4", GoogleCompute: "1.2.5", AnsiblePlugin: "1.0.3", Ansible: "2.14.18"},
		record.Tools)
	require.Equal(t, "p", record.Image.Project)
}

func TestNoRecordOfWhatCannotBe(t *testing.T) {
	t.Parallel()
	rewrite := func(t *testing.T, config map[string]any, key, from, to string) {
		path := config[key].(string)
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Contains(t, string(text), from)
		require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(string(text), from, to)), 0o644))
	}
	for name, tc := range map[string]struct {
		files    func(*testing.T, map[string]any)
		artifact func(map[string]string, map[string]any)
		want     string
	}{
		"another base": {artifact: func(_ map[string]string, s map[string]any) { s["SourceImageID"] = "other" },
			want: "not from the pinned"},
		"no self link": {artifact: func(l map[string]string, _ map[string]any) { delete(l, "self_link") },
			want: "no self link"},
		"another project": {artifact: func(l map[string]string, _ map[string]any) { l["project_id"] = "q" },
			want: "self link"},
		"other content": {files: func(t *testing.T, c map[string]any) { rewrite(t, c, "report", "0755", "0777") },
			want: "mero.content"},
		"another profile": {files: func(t *testing.T, c map[string]any) {
			rewrite(t, c, "report", "mero.profile=debug", "mero.profile=other")
		}, want: "mero.profile"},
		"an event of nothing": {files: func(t *testing.T, c map[string]any) {
			rewrite(t, c, "report", "EV_SEPARATOR", "EV_ACTION")
		}, want: "what is said of its boot"},
		"another system": {files: func(t *testing.T, c map[string]any) { rewrite(t, c, "report", "ID=ubuntu", "ID=debian") },
			want: "another event 4 of RTMR2"},
		"another agent": {files: func(t *testing.T, c map[string]any) {
			rewrite(t, c, "binaries", "mero-agent", "other")
		}, want: "not in /usr/lib/mero"},
		"a report of nobody": {files: func(t *testing.T, c map[string]any) { rewrite(t, c, "report", "ansible ", "") },
			want: "report begins with"},
		"no boot": {files: func(t *testing.T, c map[string]any) { rewrite(t, c, "report", "\nboot ", "\n") },
			want: "not with what the disk boots"},
		"no report": {files: func(t *testing.T, c map[string]any) { require.NoError(t, os.Remove(c["report"].(string))) },
			want: "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := block(t)
			if tc.files != nil {
				tc.files(t, config)
			}
			var p PostProcessor
			require.NoError(t, p.Configure(config))
			_, _, _, err := p.PostProcess(t.Context(), &packersdk.MockUi{}, artifact(tc.artifact))
			require.ErrorContains(t, err, tc.want)
			require.NoFileExists(t, config["output"].(string))
		})
	}
}

func TestConfigureRefusesAnIncompleteBlock(t *testing.T) {
	t.Parallel()
	whole := block(t)
	for key := range whole {
		if key == "commit" || key == "packer_core_version" {
			continue
		}
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			config := maps.Clone(whole)
			delete(config, key)
			var p PostProcessor
			require.ErrorContains(t, p.Configure(config), key+" is missing")
		})
	}
	for key, value := range map[string]string{"profile": "open", "release": "v1", "unknown": "x"} {
		config := maps.Clone(whole)
		config[key] = value
		var p PostProcessor
		require.Error(t, p.Configure(config), key)
	}
}

// The block's fields are those that generated code tells Packer of.
func TestEveryFieldIsInTheGeneratedSpecification(t *testing.T) {
	t.Parallel()
	var p PostProcessor
	spec := p.ConfigSpec()
	for key := range block(t) {
		require.Contains(t, spec, key)
	}
}

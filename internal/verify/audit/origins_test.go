package audit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/audit"
	"github.com/calimero-network/mero-tee/policies"
)

// A policy that is well-formed and signed may still admit what no release of ours ever was.
func TestAPolicyAdmitsWhatANodeReleasePublishes(t *testing.T) {
	t.Parallel()
	dir := released(t)
	of := func(p release.Profile) string {
		return fmt.Sprintf("policies admit what node releases publish (%s, %s)", p, node)
	}
	theirs := func(change func(policies.Evidence)) policies.Published {
		ev := policies.Evidence{Tag: node, Digest: "sha256:" + strings.Repeat("0", 63) + "1",
			Registers: map[release.Profile]tdx.Registers{}}
		for _, p := range release.Profiles() {
			ev.Registers[p] = registersOf(p)
		}
		change(ev)
		return policies.Published{node: ev}
	}
	same := func(policies.Evidence) {}
	for name, tc := range map[string]struct {
		published policies.Published
		err       error
		failed    []string
		says      string
		code      fault.Code
	}{
		"the same": {theirs(same), nil, nil, "", fault.Success},
		"nothing of one profile": {theirs(func(ev policies.Evidence) { delete(ev.Registers, release.Debug) }), nil,
			[]string{of(release.Debug)}, "publishes no measurement of debug", fault.Verification},
		"other registers": {theirs(func(ev policies.Evidence) {
			ev.Registers[release.LockedReadOnly] = tdx.Registers{}
		}), nil, []string{of(release.LockedReadOnly)}, "differs from what is published", fault.Verification},
		"no such release": {policies.Published{}, nil, []string{of(release.Debug), of(release.DebugReadOnly),
			of(release.LockedReadOnly)}, "names a node release that does not exist", fault.Verification},
		"an answer that did not come": {nil, errors.New("connection refused"),
			[]string{"policies admit what node releases publish"}, "connection refused", fault.General},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report := judge(t, dir, audit.Subject{Tag: stable, Published: func(_ context.Context, named []release.Tag) (
				policies.Published, error) {
				require.Equal(t, []release.Tag{node, node, node}, named)
				return tc.published, tc.err
			}})
			require.Equal(t, tc.failed, failed(report.Results))
			require.Equal(t, tc.code, fault.CodeOf(report.Results.Err()))
			if tc.says != "" {
				require.ErrorContains(t, report.Results.Err(), tc.says)
			}
		})
	}
}

// Who judges a folder is told that nobody was asked; nothing is claimed where nobody was to be asked.
func TestWhoWasNotAskedWhatNodesPublish(t *testing.T) {
	t.Parallel()
	report := judge(t, released(t), audit.Subject{Tag: stable, Published: func(context.Context, []release.Tag) (
		policies.Published, error) {
		return nil, fmt.Errorf("%w: offline", policies.ErrNotAsked)
	}})
	require.NoError(t, report.Results.Err())
	require.Contains(t, report.Results, check.NotApplicable("policies admit what node releases publish",
		"nobody was asked: offline"))
	for _, r := range judge(t, released(t), audit.Subject{Tag: stable}).Results {
		require.False(t, strings.Contains(r.Name, "policies admit what"), r.Name)
	}
}

// The document of another release, of another version or of other images, is sound and
// signed, and says nothing of this release's images.
func TestTheSBOMIsOfTheseImages(t *testing.T) {
	t.Parallel()
	for _, tag := range []release.Tag{stable, node} {
		for name, change := range map[string]func(string) string{
			"another name":    func(s string) string { return strings.ReplaceAll(s, `"name":"mero-`, `"name":"nero-`) },
			"another version": func(s string) string { return strings.ReplaceAll(s, tag.Version.String(), "9.9.9") },
			"another image": func(s string) string {
				at := strings.Index(s, `"checksumValue":"`) + len(`"checksumValue":"`)
				return s[:at] + strings.Repeat("0", 64) + s[at+64:]
			},
			"an image too many": func(s string) string {
				return strings.Replace(s, `"packages":[`, `"packages":[{"SPDXID":"SPDXRef-evil","name":"mero-kms",`+
					`"versionInfo":"1.2.0","downloadLocation":"NOASSERTION","checksums":[{"algorithm":"SHA256","checksumValue":"`+
					strings.Repeat("6", 64)+`"}]},`, 1) // described below
			},
		} {
			t.Run(string(tag.Family)+", "+name, func(t *testing.T) {
				t.Parallel()
				report := judge(t, made(t, tag, func(asset, content string) string {
					if asset != release.SBOMAsset {
						return content
					}
					changed := change(content)
					require.NotEqual(t, content, changed)
					return strings.Replace(changed, `"relationships":[`, `"relationships":[`+evil(changed), 1)
				}), audit.Subject{Tag: tag, Commit: commit})
				at := slices.IndexFunc(report.Results, func(r check.Result) bool { return r.Name == "SBOM" })
				require.Equal(t, check.Failed, report.Results[at].Status)
				require.Contains(t, report.Results[at].Reason, "does not describe the images of this release")
				require.Equal(t, fault.Verification, fault.CodeOf(report.Results.Err()))
			})
		}
	}
}

// evil describes the image that is too many, where there is one.
func evil(document string) string {
	if !strings.Contains(document, "SPDXRef-evil") {
		return ""
	}
	return `{"spdxElementId":"SPDXRef-DOCUMENT","relatedSpdxElement":"SPDXRef-evil","relationshipType":"DESCRIBES"},`
}

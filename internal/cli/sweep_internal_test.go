package cli

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/provider/gce"
)

// openIn are the deployments that ledgers saw begin and not end.
func openIn(ledgers []ledger) []string {
	out := []string{}
	for _, l := range ledgers {
		out = append(out, pipeline.Open(l.records, journal.Deployment)...)
	}
	return out
}

// cloudProject has these resources; those in stuck cannot be deleted.
type cloudProject struct {
	resources []gce.Resource
	partial   error // the lists are not whole
	stuck     map[string]error
	removed   []string
}

func (p *cloudProject) Leftovers(context.Context) ([]gce.Resource, error) {
	return p.resources, p.partial
}

func (p *cloudProject) Remove(_ context.Context, r gce.Resource) error {
	if err := p.stuck[r.Name]; err != nil {
		return err
	}
	p.removed = append(p.removed, r.Name)
	return nil
}

// What a sweep ends with counts everything that it named above.
func TestASweepCountsWhatItNames(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	expired := gce.Resource{Kind: gce.Instances, Name: "vm-1", Run: "run-a", Expires: at, Expired: true}
	disk := gce.Resource{Kind: gce.Disks, Name: "disk-1", Run: "run-a", Expires: at, Expired: true}
	used := gce.Resource{Kind: gce.Instances, Name: "vm-2", Run: "run-b", Expires: at}
	endless := gce.Resource{Kind: gce.Images, Name: "image-1", Labels: map[string]string{"version": "0-2-0"}}
	public := gce.Resource{Kind: gce.Images, Name: "image-2", Labels: map[string]string{"version": "0-1-0"}}
	for name, tc := range map[string]struct {
		resources        []gce.Resource
		partial          error
		stuck            map[string]error
		apply, unexpired bool
		says             []string
		removed          []string
	}{
		"nothing":         {says: []string{"nothing is left behind"}},
		"a release's own": {resources: []gce.Resource{public}, says: []string{"nothing is left behind"}},
		"a release's, applied": {resources: []gce.Resource{public}, apply: true, unexpired: true,
			says: []string{"nothing is left behind"}},
		"in use": {resources: []gce.Resource{used}, says: []string{
			"vm vm-2 of run run-b may be in use until 2026-11-27T12:00:00Z",
			"1 may still be in use: look whether a release is running; `sweep -unexpired -apply` deletes them"}},
		"without an end": {resources: []gce.Resource{endless}, says: []string{
			"image image-1 may be in use: it has no end",
			"1 may still be in use: look whether a release is running; `sweep -unexpired -apply` deletes them"}},
		"some of each": {resources: []gce.Resource{expired, used, endless, public}, says: []string{
			"left behind: vm vm-1",
			"vm vm-2 of run run-b may be in use until 2026-11-27T12:00:00Z",
			"image image-1 may be in use: it has no end",
			"1 left behind, nothing was deleted: `sweep -apply` does",
			"2 may still be in use: look whether a release is running; `sweep -unexpired -apply` deletes them"}},
		"applied": {resources: []gce.Resource{expired, used}, apply: true, says: []string{
			"left behind: vm vm-1, deleted",
			"vm vm-2 of run run-b may be in use until 2026-11-27T12:00:00Z",
			"1 may still be in use: look whether a release is running; `sweep -unexpired -apply` deletes them"},
			removed: []string{"vm-1"}},
		"all of it": {resources: []gce.Resource{used, endless, public}, apply: true, unexpired: true, says: []string{
			"left behind: vm vm-2, deleted", "left behind: image image-1, deleted"}, removed: []string{"vm-2", "image-1"}},
		"one that cannot be deleted": {resources: []gce.Resource{expired, disk}, apply: true,
			stuck:   map[string]error{"vm-1": errors.New("it is being used")},
			says:    []string{"left behind: disk disk-1, deleted", "not everything could be looked at or deleted"},
			removed: []string{"disk-1"}},
		"a list that is not whole": {resources: []gce.Resource{disk}, apply: true, partial: errors.New("a zone is silent"),
			says:    []string{"left behind: disk disk-1, deleted", "not everything could be looked at or deleted"},
			removed: []string{"disk-1"}},
		"an empty list that is not whole": {partial: errors.New("a zone is silent"),
			says: []string{"not everything could be looked at or deleted"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			cloud := &cloudProject{resources: tc.resources, partial: tc.partial, stuck: tc.stuck}
			s := &sweeper{operator: &operator{console: console.New(&out, false)}, apply: tc.apply, unexpired: tc.unexpired}
			err := s.resources(t.Context(), cloud, map[string]bool{"0-1-0": true})
			require.Equal(t, tc.partial != nil || tc.stuck != nil, err != nil)
			s.conclude(err == nil)
			var says []string
			for line := range strings.Lines(out.String()) {
				_, said, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "] ")
				says = append(says, said)
			}
			require.Equal(t, tc.says, says)
			require.Equal(t, tc.removed, cloud.removed)
		})
	}
}

// A ledger that cannot be read hides no other, and one that a command holds is known by it.
func TestLedgersOfAllReleases(t *testing.T) {
	t.Parallel()
	dist := filepath.Join(t.TempDir(), "a[b]") // no pattern
	for tag, ends := range map[string]bool{"mero-kms-v1.0.0": true, "mero-kms-v1.1.0": false} {
		l, err := pipeline.OpenLedger(filepath.Join(dist, tag), tag, strings.Repeat("a", 40), time.Now)
		require.NoError(t, err)
		require.NoError(t, l.Journal("kms:e2e").Begin(journal.Deployment, "of "+tag+"/7"))
		if ends {
			require.NoError(t, l.Close())
		} else {
			t.Cleanup(func() { require.NoError(t, l.Close()) })
		}
	}
	torn := filepath.Join(dist, "mero-kms-v1.2.0", pipeline.LedgerName)
	require.NoError(t, os.MkdirAll(filepath.Dir(torn), 0o755))
	require.NoError(t, os.WriteFile(torn, []byte("no record\n{}\n"), 0o600))
	ledgers, err := allLedgers(dist)
	require.ErrorContains(t, err, torn)
	running := map[string]bool{}
	for _, l := range ledgers {
		running[filepath.Base(filepath.Dir(l.path))] = l.running
	}
	require.Equal(t, map[string]bool{"mero-kms-v1.0.0": false, "mero-kms-v1.1.0": true}, running)
	require.ElementsMatch(t, []string{"of mero-kms-v1.0.0/7", "of mero-kms-v1.1.0/7"}, openIn(ledgers))
}

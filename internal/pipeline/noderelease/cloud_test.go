package noderelease_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/releasetest"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/discovery"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/inprocess"
	"github.com/calimero-network/mero-tee/internal/release"
)

// inCloud makes the images and boots the nodes of the release on a local
// Compute Engine, through production's own client. around, when given, is put
// in front of its API.
func inCloud(faults gce.Faults, around func(http.RoundTripper) http.RoundTripper) option {
	return func(p *process) error {
		cloud, err := openCloud(p.Env.Dist, faults, p.Env.Client(), p.Env.TDXRoot)
		if err != nil {
			return err
		}
		p.cloud = cloud
		p.Closing(cloud.Close)
		if around != nil {
			cloud.Transport = around(cloud.Transport)
		}
		images := p.Env.Images.(inprocess.Images)
		images.Import = cloud.Import
		p.Env.Images = images
		elsewhere := p.Env.Nodes
		p.Env.Nodes = func(purpose, run string, j journal.Journal) agent.Machines {
			return sorted{ours: cloud.Nodes(purpose, run, j), others: elsewhere(purpose, run, j)}
		}
		return nil
	}
}

func openCloud(dist string, faults gce.Faults, http *http.Client, root [32]byte) (*inprocess.Cloud, error) {
	platform, err := platformOf(dist)
	if err != nil {
		return nil, err
	}
	return inprocess.Open(filepath.Join(dist, "cloud"), &inprocess.Host{Platform: platform, HTTP: http, TDXRoot: root},
		faults)
}

// sorted boots the images of this release in the cloud; those of older ones are none of its images.
type sorted struct{ ours, others agent.Machines }

func (s sorted) Boot(ctx context.Context, published *measurement.Published, p release.Profile,
	m agent.Mission) (*agent.Report, error) {
	if published.Tag == stable {
		return s.ours.Boot(ctx, published, p, m)
	}
	return s.others.Boot(ctx, published, p, m)
}

func (s sorted) Reboot(ctx context.Context, published *measurement.Published, p release.Profile,
	first, again agent.Mission) ([2]*agent.Report, error) {
	if published.Tag == stable {
		return s.ours.Reboot(ctx, published, p, first, again)
	}
	return s.others.Reboot(ctx, published, p, first, again)
}

func (s sorted) Left(ctx context.Context) ([]string, error) {
	ours, a := s.ours.Left(ctx)
	others, b := s.others.Left(ctx)
	return slices.Concat(ours, others), errors.Join(a, b)
}

// requireClean: the images are left, each once, and nothing else.
func requireClean(t testing.TB, p *process, profiles ...release.Profile) {
	t.Helper()
	var want []string
	for _, profile := range profiles {
		want = append(want, inprocess.Link(inprocess.Image{Version: stable.Version, Profile: profile}))
	}
	slices.Sort(want)
	require.Equal(t, want, p.cloud.Server.Resources())
}

// described holds every call, and its answer, against Google's own description of the API.
type described struct {
	t    testing.TB
	mu   sync.Mutex
	seen map[string]int // calls by method
	next http.RoundTripper
}

func (d *described) around(next http.RoundTripper) http.RoundTripper {
	d.next = next
	return d
}

func (d *described) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != "compute.googleapis.com" {
		return d.next.RoundTrip(r)
	}
	var sent []byte
	if r.Body != nil {
		sent, _ = io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(sent))
	}
	resp, err := d.next.RoundTrip(r)
	if err != nil {
		return resp, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	resp.Body = io.NopCloser(bytes.NewReader(answer))
	d.judge(r, sent, resp.StatusCode, answer)
	return resp, err
}

func (d *described) judge(r *http.Request, sent []byte, status int, answer []byte) {
	document, err := discovery.Compute()
	name := ""
	if err == nil {
		name, err = document.CheckRequest(r, sent)
	}
	if err == nil && status == http.StatusOK {
		err = document.CheckAnswer(name, answer)
	} else if err == nil {
		err = discovery.CheckError(status, answer)
	}
	if err != nil {
		d.t.Error(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen[name]++
}

// The whole release over production's own client of Compute Engine: VMs that
// report through guest attributes, of which none is left.
func TestReleaseInTheCloud(t *testing.T) {
	releasetest.Long(t, "a whole release through the Compute Engine client")
	t.Parallel()
	s := fixture.Stages(t)
	dist := releasetest.From(t, s.After(""))
	calls := &described{t: t, seen: map[string]int{}}
	p := opened(t, s.Root, dist, stable, inCloud(gce.Faults{}, calls.around))
	require.NoError(t, p.Run.All(t.Context()), "%s", p.Log)
	require.GreaterOrEqual(t, calls.seen["instances.insert"], 9, calls.seen)
	require.Positive(t, calls.seen["instances.getGuestAttributes"], calls.seen)
	requireReleased(t, p, dist)
	requireClean(t, p, release.Profiles()...)
	begun, ended := 0, 0
	for _, r := range releasetest.Records(t, dist, stable) {
		switch {
		case r.Kind == journal.VM && r.Event == pipeline.Intent:
			begun++
		case r.Kind == journal.VM && r.Event == pipeline.Passed:
			ended++
		}
	}
	require.Equal(t, begun, ended, "every VM is journalled from its beginning to its end")
	require.GreaterOrEqual(t, begun, 9, "six machines are measured, three are tried")
}

// What comes out of a VM damaged, or not at all, is not measured.
func TestBadVMs(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	for name, tc := range map[string]struct {
		faults gce.Faults
		code   fault.Code
		want   string
	}{
		"truncated guest attributes":       {gce.Faults{Reads: gce.Truncated}, fault.Verification, "is damaged"},
		"oversized guest attributes":       {gce.Faults{Reads: gce.Oversized}, fault.Verification, "is damaged"},
		"a VM that never answers":          {gce.Faults{Silent: true}, fault.General, "has not reported"},
		"guest attributes that stay empty": {gce.Faults{Reads: gce.Absent}, fault.General, "has not reported"},
		"quota exceeded": {gce.Faults{Failures: []gce.Failure{{Call: "instances.insert", Times: 9, Code: "QUOTA_EXCEEDED"}}},
			fault.General, "QUOTA_EXCEEDED"},
		"not allowed to boot": {gce.Faults{Denied: []string{"compute.instances.create"}}, fault.Usage,
			"compute.instances.create"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dist := releasetest.From(t, s.After("node:build"))
			p := opened(t, s.Root, dist, stable, inCloud(tc.faults, nil))
			require.NoError(t, p.cloud.Import(inprocess.Image{Version: stable.Version, Profile: release.Debug}))
			_ = unmeasured(t, p, dist, tc.code, tc.want)
			requireClean(t, p, release.Debug)
		})
	}
}

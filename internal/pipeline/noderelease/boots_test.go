package noderelease_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/hex"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/releasetest"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/inprocess"
	"github.com/calimero-network/mero-tee/internal/rehearsal/ita"
	"github.com/calimero-network/mero-tee/internal/rehearsal/network"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
	"github.com/calimero-network/mero-tee/internal/release"
)

// platformOf is the simulated hardware of a rehearsal, which follows from its seed.
func platformOf(dist string) (*tdxsim.Platform, error) {
	seed, err := os.ReadFile(filepath.Join(dist, "rehearsal", "tdx.seed"))
	if err != nil {
		return nil, err
	}
	pki, err := tdxsim.NewPKI(seed)
	if err != nil {
		return nil, err
	}
	return pki.NewPlatform(0)
}

// odd are nodes that each boot, and report, in a way of their own.
type odd struct {
	platform *tdxsim.Platform
	boot     bootFunc
	again    bootFunc // of a machine that has booted; nil: as boot
}

type bootFunc func(p *tdxsim.Platform, i inprocess.Image, m agent.Mission) (*agent.Report, error)

func (o odd) Boot(_ context.Context, published *measurement.Published, profile release.Profile,
	m agent.Mission) (*agent.Report, error) {
	return o.boot(o.platform, inprocess.Image{Version: published.Tag.Version, Profile: profile}, m)
}

func (o odd) Reboot(ctx context.Context, published *measurement.Published, profile release.Profile,
	first, again agent.Mission) (out [2]*agent.Report, err error) {
	if out[0], err = o.Boot(ctx, published, profile, first); err != nil {
		return out, err
	}
	if o.again != nil {
		o.boot = o.again
	}
	out[1], err = o.Boot(ctx, published, profile, again)
	return out, err
}

func (odd) Left(context.Context) ([]string, error) { return nil, nil }

// report is what an agent of the profile says on a machine; empty: it measures nothing into RTMR3.
func report(booted *inprocess.Machine, measured, said release.Profile, nonce [32]byte) (*agent.Report, error) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	a := &agent.Agent{TSM: booted.TSM(), Profile: measured, Key: key}
	if measured != "" {
		if err := a.ExtendProfile(); err != nil {
			return nil, err
		}
	}
	quote, err := a.Quote(wire.NodeReportData(nonce, a.PeerID()))
	return &agent.Report{Profile: said, PeerID: a.PeerID(), Nonce: hex.EncodeToString(nonce[:]), Quote: quote,
		EventLog: booted.Log.CCEL()}, err
}

// honest boots as usual and lets change do something to the machine and to the report.
func honest(machine func(*inprocess.Machine) error, said func(*agent.Report)) bootFunc {
	return func(p *tdxsim.Platform, i inprocess.Image, m agent.Mission) (*agent.Report, error) {
		booted, err := i.Boot(p)
		if err == nil && machine != nil {
			err = machine(booted)
		}
		if err != nil {
			return nil, err
		}
		r, err := report(booted, i.Profile, i.Profile, m.Nonce)
		if err == nil && said != nil {
			said(r)
		}
		return r, err
	}
}

// "A quote with a wrong nonce, of a debug TD, with zero RTMR3, with the RTMR3 of
// another profile, an event log that does not replay": whatever a VM says,
// nothing is measured.
func TestBadBoots(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	for name, tc := range map[string]struct {
		boot bootFunc
		want string
	}{
		"a wrong nonce": {func(p *tdxsim.Platform, i inprocess.Image, m agent.Mission) (*agent.Report, error) {
			r, err := honest(nil, nil)(p, i, agent.Mission{Nonce: agent.NewNonce()})
			r.Nonce = hex.EncodeToString(m.Nonce[:])
			return r, err
		}, "report data"},
		"an old report": {func(p *tdxsim.Platform, i inprocess.Image, _ agent.Mission) (*agent.Report, error) {
			return honest(nil, nil)(p, i, agent.Mission{Nonce: agent.NewNonce()})
		}, "answers another nonce"},
		"a debug TD": {func(p *tdxsim.Platform, i inprocess.Image, m agent.Mission) (*agent.Report, error) {
			booted, err := i.Boot(p, tdxsim.Debug)
			if err != nil {
				return nil, err
			}
			return report(booted, i.Profile, i.Profile, m.Nonce)
		}, "debug"},
		"zero RTMR3": {func(p *tdxsim.Platform, i inprocess.Image, m agent.Mission) (*agent.Report, error) {
			booted, err := i.Boot(p)
			if err != nil {
				return nil, err
			}
			return report(booted, "", i.Profile, m.Nonce)
		}, "RTMR3 is not that of profile debug"},
		"RTMR3 of another profile": {func(p *tdxsim.Platform, i inprocess.Image, m agent.Mission) (*agent.Report, error) {
			booted, err := i.Boot(p)
			if err != nil {
				return nil, err
			}
			return report(booted, release.LockedReadOnly, i.Profile, m.Nonce)
		}, "RTMR3 is not that of profile debug"},
		"another profile": {honest(nil, func(r *agent.Report) { r.Profile = release.LockedReadOnly }),
			"the node is of another profile"},
		"an event that was not logged": {honest(func(m *inprocess.Machine) error {
			return m.TD.Extend(2, sha512.Sum384([]byte("hidden")))
		}, nil), "does not replay"},
		"an event that the record does not predict": {honest(func(m *inprocess.Machine) error {
			return m.Log.Measure(2, tdx.BootLoaderEvent, []byte("init=/bin/sh"))
		}, nil), "events of RTMR2 that the disk does not make"},
		"a variable from the host": {honest(func(m *inprocess.Machine) error {
			return m.Log.Measure(0, 0x80000001, systemdOptions())
		}, nil), "RTMR0 measures what boots may read from the host"},
		"an event log that is none": {honest(nil, func(r *agent.Report) { r.EventLog = []byte("log") }), "event log"},
		"an agent that failed": {honest(nil, func(r *agent.Report) {
			r.Fail(&fault.Error{Code: fault.Verification, Message: "no TDX here"})
		}), "the node says: no TDX here"},
		"hardware of another maker": {func(_ *tdxsim.Platform, i inprocess.Image, m agent.Mission) (*agent.Report, error) {
			pki, err := tdxsim.NewPKI([]byte("another maker of hardware"))
			if err != nil {
				return nil, err
			}
			stranger, err := pki.NewPlatform(0)
			if err != nil {
				return nil, err
			}
			return honest(nil, nil)(stranger, i, m)
		}, "quote"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dist := releasetest.From(t, s.After("node:build"))
			p := opened(t, s.Root, dist, stable)
			bootBy(t, p, dist, odd{boot: tc.boot})
			_ = unmeasured(t, p, dist, fault.Verification, tc.want)
		})
	}
}

// systemdOptions is UEFI_VARIABLE_DATA of the variable that systemd would read as a command line.
func systemdOptions() []byte {
	const vendor = "\x4b\x64\xf2\x8c\x0b\x4b\x8f\x42\x93\x87\x6d\x87\x60\x50\xdc\x67"
	const name = "S\x00y\x00s\x00t\x00e\x00m\x00d\x00O\x00p\x00t\x00i\x00o\x00n\x00s\x00"
	return []byte(vendor + "\x0e\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00" + name + "x")
}

// bootBy replaces the nodes of the release.
func bootBy(t *testing.T, p *process, dist string, nodes odd) {
	t.Helper()
	var err error
	nodes.platform, err = platformOf(dist)
	require.NoError(t, err)
	p.Env.Nodes = func(string, string, journal.Journal) agent.Machines { return nodes }
}

// unmeasured expects that the debug image cannot be measured, and that nothing goes on from there.
func unmeasured(t *testing.T, p *process, dist string, code fault.Code, want string) *fault.Error {
	t.Helper()
	err := p.Run.PerformTarget(t.Context(), "node:measure", string(release.Debug))
	require.Equal(t, code, fault.CodeOf(err), "%v", err)
	require.ErrorContains(t, err, want)
	require.ErrorContains(t, err, "node:measure/debug")
	require.NotContains(t, releasetest.Contents(t, releasetest.Staged(dist, stable)), release.EvidenceAsset(release.Debug))
	var blocked *pipeline.BlockedError
	require.ErrorAs(t, p.Run.Perform(t.Context(), "node:mrtds"), &blocked)
	requireUnpublished(t, p, dist)
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	return f
}

// "Registers that differ between boots are marked as such and must be explained":
// the error names the event.
func TestBootsThatDisagree(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	dist := releasetest.From(t, s.After("node:build"))
	p := opened(t, s.Root, dist, stable)
	var boots atomic.Int64
	bootBy(t, p, dist, odd{boot: honest(func(m *inprocess.Machine) error {
		if boots.Add(1) == 1 {
			return nil
		}
		return m.Log.Measure(0, 0xd, []byte("boot entropy 17"))
	}, nil)})
	f := unmeasured(t, p, dist, fault.Verification, "rtmr0 differs between two boots of one image")
	require.Contains(t, f.Hint, "boot entropy 17")
}

// What a machine finds that has booted before is measured like everything else.
func TestARebootThatDisagrees(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	dist := releasetest.From(t, s.After("node:build"))
	p := opened(t, s.Root, dist, stable)
	bootBy(t, p, dist, odd{boot: honest(nil, nil), again: honest(func(m *inprocess.Machine) error {
		return m.Log.Measure(0, 0xd, []byte("what the first boot left"))
	}, nil)})
	f := unmeasured(t, p, dist, fault.Verification,
		"rtmr0 differs between a boot of the image and the reboot of a machine")
	require.Contains(t, f.Hint, "new event: what the first boot left")
}

// appraisedBy lets an appraiser with a claim of its own answer instead of the rehearsal's.
func appraisedBy(t *testing.T, p *process, dist string, claim func(map[string]any)) {
	t.Helper()
	authority, err := ita.OpenAuthority(filepath.Join(dist, "rehearsal", "ita.pem"))
	require.NoError(t, err)
	v, err := tdx.NewVerifier(tdx.Config{Root: p.Env.TDXRoot, Collateral: tdx.NewCollateral(p.Env.Client())})
	require.NoError(t, err)
	service := ita.New(ita.Options{Authority: authority, APIKey: p.Env.ITA.Key.Reveal(), Verifier: v, Now: time.Now})
	service.Change(func(k *ita.Faults) { k.Claims = claim })
	n := network.New()
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	for _, host := range ita.Hosts() {
		require.NoError(t, n.Handle(host, service))
	}
	p.Env.ITA.Transport = n.Transport()
}

// "Intel Trust Authority appraises the same quote, and its verified token must agree."
func TestAppraiserDisagrees(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	for name, value := range map[string]string{"attester_tcb_status": "OutOfDate",
		"tdx_rtmr2": hex.EncodeToString(make([]byte, 48))} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dist := releasetest.From(t, s.After("node:build"))
			p := opened(t, s.Root, dist, stable)
			appraisedBy(t, p, dist, func(said map[string]any) { said["tdx"].(map[string]any)[name] = value })
			f := unmeasured(t, p, dist, fault.Verification, "the appraisal is not our verdict of the quote")
			require.Contains(t, f.Got, value)
		})
	}
}

// "Cannot be compared" is no disagreement; a stable release needs an agreement.
func TestAppraiserOfOtherCollateral(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	dist := releasetest.From(t, s.After("node:build"))
	p := opened(t, s.Root, dist, stable)
	appraisedBy(t, p, dist, func(said map[string]any) {
		said["tdx"].(map[string]any)["tdx_collateral"].(map[string]any)["tcbevaluationdatanumber"] = 99
	})
	f := unmeasured(t, p, dist, fault.General, "cannot be compared")
	require.Equal(t, "evaluation number 17 (standard), 18 (early)", f.Got)
}

// A stable release needs the second opinion.
func TestStableWithoutAppraiser(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	dist := releasetest.From(t, s.After("node:build"))
	p := opened(t, s.Root, dist, stable)
	p.Env.ITA.Key = ""
	f := unmeasured(t, p, dist, fault.Verification, "no appraisal by Intel Trust Authority")
	require.Equal(t, "set the secret ITA_API_KEY", f.Hint)
}

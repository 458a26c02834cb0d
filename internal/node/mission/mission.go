// Package mission carries out, inside a node, what the node is asked to do: it
// proves the TD, visits key services and reports.
//
// Its promise: a key service is asked for a key only after it proved itself
// against the visit's configuration, no key leaves this process, of a test's not
// more than a digest, and whatever fails is said in the report, which is there in any case.
package mission

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/google/go-configfs-tsm/configfs/configfsi"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Node is the machine that a mission is carried out on. All fields are required,
// but Local where no mission asks for the node's health.
type Node struct {
	Profile  release.Profile
	Extended bool // the profile was measured in an earlier run since boot
	TSM      configfsi.Client
	EventLog func() ([]byte, error) // the firmware's
	HTTP     *http.Client           // reaches key services and collateral
	Root     [32]byte               // SHA-256 of the one TDX root that is believed
	Now      func() time.Time
	Local    Local
}

// Accomplish measures the profile, proves the TD and makes every visit. The
// report is never nil; the error is the one that it holds. A visit that fails
// is in its result and nowhere else, unless it is the operator's.
func (n Node) Accomplish(ctx context.Context, m agent.Mission) (*agent.Report, error) {
	r := &agent.Report{Profile: n.Profile}
	err := n.accomplish(ctx, m, r)
	if err != nil {
		r.Fail(err)
	}
	if m.Health { // whatever else failed: it may be why
		r.Health = n.Local.health(ctx)
	}
	return r, err
}

func (n Node) accomplish(ctx context.Context, m agent.Mission, r *agent.Report) error {
	key, err := identity(m)
	if err != nil {
		return err
	}
	a := &agent.Agent{TSM: n.TSM, HTTP: n.HTTP, Profile: n.Profile, Key: key}
	if err := n.measure(a); err != nil {
		return err
	}
	if err := n.prove(a, m.Nonce, r); err != nil {
		return err
	}
	v, err := tdx.NewVerifier(tdx.Config{Root: n.Root, Collateral: tdx.NewCollateral(n.HTTP), Now: n.Now})
	if err != nil {
		return err
	}
	return visitor{a, v, m.Identity != nil}.visit(ctx, m, r)
}

// identity is the node's peer key.
func identity(m agent.Mission) (ed25519.PrivateKey, error) {
	if m.Identity != nil {
		return ed25519.NewKeyFromSeed(m.Identity[:]), nil
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return key, err
}

func (n Node) measure(a *agent.Agent) error {
	if n.Extended {
		return a.CheckProfile()
	}
	return a.ExtendProfile()
}

// prove quotes this TD over the nonce and the peer ID, as a key request does.
func (n Node) prove(a *agent.Agent, nonce [32]byte, r *agent.Report) (err error) {
	r.PeerID, r.Nonce = a.PeerID(), hex.EncodeToString(nonce[:])
	if r.Quote, err = a.Quote(wire.NodeReportData(nonce, r.PeerID)); err != nil {
		return err
	}
	r.EventLog, err = n.EventLog()
	return err
}

// visit makes all visits at once: one that hangs takes no time from the others.
func (v visitor) visit(ctx context.Context, m agent.Mission, r *agent.Report) error {
	visits := slices.Clone(m.Visits)
	if m.Config != nil {
		visits = append(visits, agent.Visit{Name: agent.ConfigAttribute, Config: m.Config})
	}
	r.Visits = make([]agent.VisitResult, len(visits))
	failed := make([]error, len(visits))
	var wg sync.WaitGroup
	for i, visit := range visits {
		compare := i < len(m.Visits)
		wg.Go(func() { failed[i] = v.one(ctx, visit, &r.Visits[i], compare) })
	}
	wg.Wait()
	if m.Config != nil {
		return failed[len(visits)-1]
	}
	return nil
}

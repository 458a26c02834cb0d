package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/google/go-configfs-tsm/configfs/configfsi"

	"github.com/calimero-network/mero-tee/internal/agent"
	"github.com/calimero-network/mero-tee/internal/canonical"
	"github.com/calimero-network/mero-tee/internal/clientconfig"
	"github.com/calimero-network/mero-tee/internal/fault"
	"github.com/calimero-network/mero-tee/internal/guestattr"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/tdx"
)

// Instance attributes that -metadata reads, and the guest attribute it writes.
const (
	nonceAttribute  = "mero-nonce"
	configAttribute = "mero-client-config"
	namespace       = "mero"
	reportName      = "report"
)

const maxEventLog = 1 << 20

// mission is one run of the agent.
type mission struct {
	profile    release.Profile
	nonce      string // hex
	configFile string
	config     []byte
	eventLog   string
	extended   bool
	root       [32]byte
	tsm        configfsi.Client
	http       *http.Client
	metadata   *guestattr.Metadata // nil: flags and standard output
	now        func() time.Time
}

// accomplish measures, proves, asks, and reports, also when something failed.
func (m *mission) accomplish(ctx context.Context, stdout io.Writer) error {
	r, err := m.proceed(ctx)
	if err != nil {
		r.Error, r.ExitCode = err.Error(), int(fault.CodeOf(err))
	}
	return errors.Join(err, m.send(ctx, r, stdout))
}

func (m *mission) proceed(ctx context.Context) (*Report, error) {
	r := &Report{Profile: m.profile}
	if err := m.instructions(ctx); err != nil {
		return r, err
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return r, err
	}
	a := &agent.Agent{TSM: m.tsm, HTTP: m.http, Profile: m.profile, Key: key}
	if !m.extended {
		if err := a.ExtendProfile(); err != nil {
			return r, err
		}
	}
	if err := m.prove(a, r); err != nil || len(m.config) == 0 {
		return r, err
	}
	return r, m.ask(ctx, a, r)
}

// instructions reads what the operator wants, from where the flags say.
func (m *mission) instructions(ctx context.Context) (err error) {
	if m.metadata == nil {
		if m.configFile != "" {
			m.config, err = readFile(m.configFile, canonical.MaxSize)
		}
		return err
	}
	if m.nonce, err = m.metadata.Attribute(ctx, nonceAttribute); err != nil {
		return err
	}
	config, err := m.metadata.Attribute(ctx, configAttribute)
	m.config = []byte(config)
	return err
}

// prove quotes this TD over the nonce and the peer ID, as a key request does.
func (m *mission) prove(a *agent.Agent, r *Report) error {
	var nonce [32]byte
	if m.nonce == "" {
		_, _ = rand.Read(nonce[:]) // never fails
	} else if b, err := hex.DecodeString(m.nonce); err != nil || len(b) != len(nonce) {
		return &fault.Error{Code: fault.Usage, Message: "the nonce", Expected: "32 bytes in hex", Got: m.nonce}
	} else {
		nonce = [32]byte(b)
	}
	quote, err := a.Quote(wire.NodeReportData(nonce, a.PeerID()))
	if err != nil {
		return err
	}
	r.PeerID, r.Nonce, r.Quote = a.PeerID(), hex.EncodeToString(nonce[:]), quote
	r.EventLog, err = readFile(m.eventLog, maxEventLog)
	return err
}

// ask verifies the key service and, only then, asks it for this node's key.
func (m *mission) ask(ctx context.Context, a *agent.Agent, r *Report) error {
	config, err := clientconfig.Decode(m.config)
	if err != nil {
		return err
	}
	v, err := tdx.NewVerifier(tdx.Config{Root: m.root, Collateral: tdx.NewCollateral(m.http), Now: m.now})
	if err != nil {
		return err
	}
	want, err := config.Expectation(v)
	if err != nil {
		return err
	}
	r.KMS = &KMSResult{URL: config.URL}
	proved, err := a.VerifyKMS(ctx, config.URL, want)
	if err != nil {
		return err
	}
	r.KMS.Verified, r.KMS.TCB, r.KMS.Registers = true, string(proved.Verdict.TCB), &proved.Verdict.Registers
	key, err := a.GetKey(ctx, config.URL)
	clear(key) // that it came is the result; nothing here has a use for it
	var refused *agent.Refused
	if errors.As(err, &refused) {
		r.KMS.Refusal = refused.Tag
		return &fault.Error{Code: fault.Verification, Message: "the key was not released", Err: err}
	}
	r.KMS.KeyReleased = err == nil
	return err
}

func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // read only
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = &fault.Error{Code: fault.Usage, Message: path + " is too large"}
	}
	return data, err
}

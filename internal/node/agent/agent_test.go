package agent_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha512"
	"errors"
	"net/http"
	"os"
	"path"
	"testing"

	"github.com/google/go-configfs-tsm/configfs/configfsi"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
	"github.com/calimero-network/mero-tee/internal/release"
)

func machine(t *testing.T) (*tdxsim.PKI, *tdxsim.Platform) {
	t.Helper()
	pki, err := tdxsim.NewPKI([]byte("agent"))
	require.NoError(t, err)
	platform, err := pki.NewPlatform(1)
	require.NoError(t, err)
	return pki, platform
}

func newAgent(t *testing.T, tsm configfsi.Client) *agent.Agent {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return &agent.Agent{TSM: tsm, HTTP: http.DefaultClient, Profile: release.DebugReadOnly, Key: key}
}

func TestExtendProfileOnce(t *testing.T) {
	t.Parallel()
	_, platform := machine(t)
	td := platform.NewTD(tdx.Register{1})
	a := newAgent(t, tdxsim.TSM(td, 4))
	require.NoError(t, a.ExtendProfile())
	require.Equal(t, tdx.ProfileRTMR3("debug-read-only"), td.Registers().RTMR3)

	err := a.ExtendProfile()
	require.ErrorContains(t, err, "RTMR3 was extended before")
	require.Equal(t, fault.Verification, fault.CodeOf(err))
	require.Equal(t, tdx.ProfileRTMR3("debug-read-only"), td.Registers().RTMR3, "and it stays")
}

func TestExtendProfileRefusesAForeignExtension(t *testing.T) {
	t.Parallel()
	_, platform := machine(t)
	td := platform.NewTD(tdx.Register{1})
	require.NoError(t, td.Extend(3, sha512.Sum384([]byte("someone else"))))
	require.ErrorContains(t, newAgent(t, tdxsim.TSM(td, 4)).ExtendProfile(), "RTMR3 was extended before")
}

// lossy is a kernel that accepts an extension and drops it.
type lossy struct{ configfsi.Client }

func (l lossy) WriteFile(name string, contents []byte) error {
	if path.Base(name) == "digest" {
		return nil
	}
	return l.Client.WriteFile(name, contents)
}

func TestExtendProfileReadsBack(t *testing.T) {
	t.Parallel()
	_, platform := machine(t)
	err := newAgent(t, lossy{tdxsim.TSM(platform.NewTD(tdx.Register{1}), 4)}).ExtendProfile()
	require.ErrorContains(t, err, "not the profile's after the extension")
}

func TestQuoteHoldsTheReportData(t *testing.T) {
	t.Parallel()
	_, platform := machine(t)
	for _, version := range []int{4, 5} {
		a := newAgent(t, tdxsim.TSM(platform.NewTD(tdx.Register{1}), version))
		raw, err := a.Quote([64]byte{1, 2, 3})
		require.NoError(t, err)
		q, err := tdx.ParseQuote(raw)
		require.NoError(t, err)
		require.Equal(t, version, q.Version)
		require.Equal(t, [64]byte{1, 2, 3}, q.ReportData)
	}
}

// altered is a configfs in which one attribute reads otherwise.
type altered struct {
	configfsi.Client
	attribute, value string
}

func (a altered) ReadFile(name string) ([]byte, error) {
	if path.Base(name) == a.attribute {
		return []byte(a.value), nil
	}
	return a.Client.ReadFile(name)
}

// absent is a machine without configfs-tsm.
type absent struct{}

func (absent) MkdirTemp(string, string) (string, error) { return "", os.ErrNotExist }
func (absent) ReadDir(string) ([]os.DirEntry, error)    { return nil, os.ErrNotExist }
func (absent) ReadFile(string) ([]byte, error)          { return nil, os.ErrNotExist }
func (absent) WriteFile(string, []byte) error           { return os.ErrNotExist }
func (absent) RemoveAll(string) error                   { return errors.New("nothing to remove") }

func TestQuoteRefuses(t *testing.T) {
	t.Parallel()
	_, platform := machine(t)
	tsm := tdxsim.TSM(platform.NewTD(tdx.Register{1}), 4)
	for name, tc := range map[string]struct {
		tsm  configfsi.Client
		want string
	}{
		"SEV-SNP":     {altered{tsm, "provider", "sev_guest\n"}, `"sev_guest", not tdx_guest`},
		"empty quote": {altered{tsm, "outblob", ""}, "returned nothing"},
		"no configfs": {absent{}, "configfs"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := newAgent(t, tc.tsm).Quote([64]byte{})
			require.ErrorContains(t, err, tc.want)
		})
	}
	require.ErrorContains(t, newAgent(t, absent{}).ExtendProfile(), "read RTMR3")
	require.ErrorContains(t, newAgent(t, altered{tsm, "digest", "short"}).ExtendProfile(), "5 bytes, not 48")
}

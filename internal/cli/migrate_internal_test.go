package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/kms/compose"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	client "github.com/calimero-network/mero-tee/internal/provider/dstack"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/rehearsal/dstack"
	"github.com/calimero-network/mero-tee/internal/rehearsal/network"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/e2e"
	"github.com/calimero-network/mero-tee/internal/verify/migration"
)

// atProvider is an operator at the local provider, where no application boots:
// what is there and what is deleted is all that matters here.
func atProvider(t *testing.T) *operator {
	t.Helper()
	net := network.New()
	t.Cleanup(func() { require.NoError(t, net.Close()) })
	pki, err := tdxsim.NewPKI([]byte("migrate"))
	require.NoError(t, err)
	machine, err := pki.NewPlatform(0)
	require.NoError(t, err)
	proxy, err := net.Proxy()
	require.NoError(t, err)
	provider, err := dstack.New(dstack.Options{State: t.TempDir(), Seed: make([]byte, 32), APIKey: "key", TDX: machine,
		Proxy: proxy, Unpack: func(context.Context, string, string) (v1.Config, error) {
			return v1.Config{}, errors.New("no image")
		}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, provider.Close()) })
	require.NoError(t, net.Handle("cloud-api.phala.com", provider))
	return &operator{console: console.New(io.Discard, false), env: &environment.Environment{Settings: environment.Settings{
		Transport: net.Transport(), DstackURL: "https://cloud-api.phala.com/api/v1", DstackKey: "key",
		Dist: t.TempDir()}}}
}

func appCompose(t *testing.T) json.RawMessage {
	t.Helper()
	app, err := compose.AppCompose(release.Debug, []byte(`{"services":{"mero-kms":{"image":"ghcr.io/x@sha256:`+
		`0000000000000000000000000000000000000000000000000000000000000000","ports":["8080:8080"]}}}`))
	require.NoError(t, err)
	return app
}

// there makes a CVM of that name and says its app id.
func there(t *testing.T, o *operator, name string) string {
	t.Helper()
	app := client.App{Name: name, Compose: appCompose(t), InstanceType: client.DefaultInstanceType}
	p, err := o.env.Dstack().Provision(t.Context(), app)
	require.NoError(t, err)
	cvm, err := o.env.Dstack().Create(t.Context(), p)
	require.NoError(t, err)
	return cvm.AppID
}

// The trial deletes what its ledger made and nothing else: neither an operator's
// application nor one with a name like its own. What an interrupted trial left is
// found by its id and its name together.
func TestMigrationDeletesOnlyItsOwn(t *testing.T) {
	t.Parallel()
	o := atProvider(t)
	kms, err := release.ParseTag("mero-kms-v1.3.0")
	require.NoError(t, err)
	const (
		commit      = "0123456789abcdef0123456789abcdef01234567"
		interrupted = "mero-kms-migrate-debug-run0"
	)
	left := there(t, o, interrupted)
	untouched := map[string]string{}
	for _, name := range []string{"mero-kms", "mero-kms-migrate-debug", "mero-kms-migrate-debug-theirs",
		interrupted + "b"} {
		untouched[there(t, o, name)] = name
	}
	ledger, err := pipeline.OpenLedger(filepath.Join(o.env.Dist, "migrate-run0"), kms.String(), commit, time.Now)
	require.NoError(t, err)
	j := ledger.Journal("migrate")
	require.NoError(t, j.Begin(journal.Deployment, interrupted+"/"+left))
	for id := range untouched {
		require.NoError(t, j.Begin(journal.Deployment, interrupted+"/"+id), "of an id that is another's by now")
	}
	require.NoError(t, ledger.Close())
	owned := func(appID, name string) bool {
		is, err := o.env.Dstack().Owns(t.Context(), "app_"+appID, name)
		require.NoError(t, err)
		return is
	}

	m := migration.Migration{Profile: release.Debug,
		From: migration.Release{Tag: kms, AppCompose: appCompose(t)}, To: migration.Release{Tag: kms}}
	f := migration.Runner{ID: "run1", HTTP: o.env.Client()}
	var begun []string
	require.NoError(t, o.journalledAt("migrate", kms, commit, func(p e2e.Provider) error {
		f.Provider = inPlace{p, o.env.Dstack()}
		results := f.Restart(t.Context(), m, nil, nil)
		require.ErrorContains(t, results[0].Err(), "did not boot")
		ledgers, err := allLedgers(o.env.Dist)
		require.NoError(t, err)
		for _, open := range openIn(ledgers) {
			if !strings.HasPrefix(open, interrupted+"/") {
				begun = append(begun, open)
			}
		}
		return nil
	}))
	require.Len(t, begun, 1)
	require.Regexp(t, "^mero-kms-migrate-debug-run1/[0-9a-f]{40}$", begun[0], "a name with the run, written down")
	require.False(t, owned(strings.TrimPrefix(begun[0], "mero-kms-migrate-debug-run1/"), "mero-kms-migrate-debug-run1"))
	require.True(t, owned(left, interrupted), "sweep's, not this run's")

	s := &sweeper{operator: o, apply: true}
	require.NoError(t, s.recorded(t.Context()))
	require.Equal(t, 1, s.found)
	require.False(t, owned(left, interrupted))
	for id, name := range untouched {
		require.True(t, owned(id, name), "%s is not ours", name)
	}
}

// "Fetch the attestation-policy-{profile}.json from the target KMS release. Verify
// its Sigstore signature": what nobody vouches for is not read, whatever it says.
func TestAPolicyThatNobodySignedIsNotMigratedTo(t *testing.T) {
	t.Parallel()
	o, said := proposing(t)
	var err error
	o.env.TDXRoot, err = tdx.ParseRoot(tdx.IntelRootSHA256)
	require.NoError(t, err)
	tag := release.Tag{Family: release.KMS, Version: release.Version{Major: 1, Minor: 3}}
	publishUnsigned(t, o, tag)
	got, err := o.keyService(t.Context(), tag, release.LockedReadOnly)
	require.Equal(t, fault.Verification, fault.CodeOf(err), "%v", err)
	require.ErrorContains(t, err, "mero-kms-v1.3.0 is not to be trusted")
	require.Contains(t, said.String(), "[PASS] all 22 expected assets are present")
	require.Contains(t, said.String(), "[FAIL] signature of attestation-policy-locked-read-only.json: signature refused")
	require.Nil(t, got.Policy)
	require.Nil(t, got.AppCompose)
}

// publishUnsigned makes a public release that has every asset's name, and no signature that stands.
func publishUnsigned(t *testing.T, o *operator, tag release.Tag) {
	t.Helper()
	draft, err := o.github.CreateDraft(t.Context(), github.Draft{Tag: tag.String(), Title: tag.String(), Notes: "x"})
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "asset")
	require.NoError(t, os.WriteFile(path, []byte("{}"), 0o600))
	sum, size, err := digest.OfFile(path)
	require.NoError(t, err)
	for _, name := range tag.Family.ExpectedAssets() {
		_, err = o.github.Upload(t.Context(), draft, github.File{Name: name, Size: size, Digest: sum.String(),
			ContentType: "application/json", Open: func() (io.ReadCloser, error) { return os.Open(path) }})
		require.NoError(t, err)
	}
	no := false // the publication makes the tag, at main
	_, err = o.github.Update(t.Context(), draft.ID, github.Patch{Draft: &no, MakeLatest: "false"})
	require.NoError(t, err)
	for range 3 { // what was just published is seen late
		_, noTag := o.github.TagCommit(t.Context(), tag.String())
		_, noRelease := o.github.ReleaseByTag(t.Context(), tag.String())
		err = errors.Join(noTag, noRelease)
	}
	require.NoError(t, err)
}

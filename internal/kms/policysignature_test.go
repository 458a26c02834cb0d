package kms_test

import (
	"bytes"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/artifact/sign"
	"github.com/calimero-network/mero-tee/internal/artifact/signature"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms"
	"github.com/calimero-network/mero-tee/internal/rehearsal/sigstore"
	"github.com/calimero-network/mero-tee/internal/release"
)

var releaseWorkflow = signature.Identity{Repository: "calimero-network/mero-tee", Workflow: "release-kms-phala.yaml",
	Tag: release.Tag{Family: release.KMS, Version: release.Version{Major: 1, Minor: 2}}}

func startSigstore(t *testing.T) *sigstore.Instance {
	t.Helper()
	i, err := sigstore.Start(t.Context(), sigstore.Options{Dir: t.TempDir(), ToolsDir: "../../tools"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, i.Close()) })
	return i
}

// bundleOver is the signature of data by the identity.
func bundleOver(t *testing.T, i *sigstore.Instance, id signature.Identity, data []byte) []byte {
	t.Helper()
	sc, err := root.NewSigningConfigFromPath(i.SigningConfigPath)
	require.NoError(t, err)
	url := i.TokenURL(id.Repository, id.Workflow, id.Ref(), strings.Repeat("0123", 10))
	s, err := sign.NewSigner(t.Context(),
		sign.Config{SigningConfig: sc, Token: sign.RequestToken(http.DefaultClient, url, i.Bearer(), sign.Audience)})
	require.NoError(t, err)
	bundle, err := s.Sign(t.Context(), sha256.Sum256(data))
	require.NoError(t, err)
	return bundle
}

// signedRemote is a service that demands a signature and asks github.com for policy and bundle.
func signedRemote(t *testing.T, trust string, policy, bundle []byte) *kms.Service {
	t.Helper()
	c, err := kms.Load([]string{"MERO_KMS_VERSION=1.2.0", "MERO_KMS_PROFILE=debug", "MERO_KMS_TRUSTED_ROOT=" + trust},
		"/nonexistent")
	require.NoError(t, err)
	signer, err := kms.NewPolicySigner(c)
	require.NoError(t, err)
	h := http.NewServeMux()
	h.Handle(policyPath, serve(policy))
	if bundle != nil {
		h.HandleFunc(policyPath+".sigstore.json", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bundle) })
	}
	return kms.New(c, kms.Parts{Transport: local{h}, PolicySigner: signer, Now: time.Now,
		Log: slog.New(slog.DiscardHandler)})
}

func TestAPolicyMustBeSignedByItsOwnRelease(t *testing.T) {
	t.Parallel()
	instance := startSigstore(t)
	policy := policyBytes(t, nil)
	good := bundleOver(t, instance, releaseWorkflow, policy)
	s := signedRemote(t, instance.TrustedRootPath, policy, good)
	require.NoError(t, s.TryPolicy(t.Context()))
	said := health(t, &world{url: newServer(t, s)})
	require.Equal(t, []string{releaseWorkflow.SAN(), instance.TrustedRootPath},
		[]string{said.PolicySignedBy, said.PolicyTrust})

	by := func(change func(*signature.Identity)) []byte {
		id := releaseWorkflow
		change(&id)
		return bundleOver(t, instance, id, policy)
	}
	for name, tc := range map[string]struct {
		bundle []byte
		want   string
	}{
		"unsigned":  {nil, "fetch the policy's signature: github.com answered 404"},
		"no bundle": {[]byte("{}\n"), "signature refused: bundle"},
		"truncated": {good[:len(good)/2], "signature refused: bundle"},
		"oversized": {bytes.Repeat([]byte(" "), 64<<10+1), "more than 65536 bytes"},
		"of other bytes": {bundleOver(t, instance, releaseWorkflow, append([]byte(" "), policy...)),
			"signature refused: digest"},
		"of another version": {by(func(i *signature.Identity) { i.Tag.Version.Minor = 1 }), "signature refused: tag"},
		"of the candidate":   {by(func(i *signature.Identity) { i.Tag.Version.Candidate = 1 }), "signature refused: tag"},
		"of a fork": {by(func(i *signature.Identity) { i.Repository = "fork/mero-tee" }),
			"signature refused: repository"},
		"of another workflow": {by(func(i *signature.Identity) { i.Workflow = release.Node.Workflow() }),
			"signature refused: identity"},
	} {
		s := signedRemote(t, instance.TrustedRootPath, policy, tc.bundle)
		require.ErrorContains(t, s.TryPolicy(t.Context()), tc.want, name)
		require.False(t, health(t, &world{url: newServer(t, s)}).PolicyReady, name)
	}
}

func TestThePolicysRootIsNotAnotherSigstores(t *testing.T) {
	t.Parallel()
	policy, other := policyBytes(t, nil), startSigstore(t)
	bundle := bundleOver(t, startSigstore(t), releaseWorkflow, policy)
	require.ErrorContains(t, signedRemote(t, other.TrustedRootPath, policy, bundle).TryPolicy(t.Context()),
		"signature refused")
}

func TestATrustedRootThatIsNoneStopsTheStart(t *testing.T) {
	t.Parallel()
	damaged := filepath.Join(t.TempDir(), "trusted_root.json")
	require.NoError(t, os.WriteFile(damaged, []byte("{"), 0o600))
	for _, path := range []string{damaged, "/nonexistent/trusted_root.json"} {
		_, err := kms.NewPolicySigner(kms.Config{TrustedRoot: path})
		require.ErrorContains(t, err, "MERO_KMS_TRUSTED_ROOT")
		require.Equal(t, fault.Usage, fault.CodeOf(err))
	}
}

// Nothing configured means the public root, and so no policy that another Sigstore signed.
func TestAPolicyMustBeSignedByDefault(t *testing.T) {
	t.Parallel()
	policy := policyBytes(t, nil)
	for name, bundle := range map[string][]byte{
		"fetch the policy's signature: github.com answered 404": nil,
		"signature refused": bundleOver(t, startSigstore(t), releaseWorkflow, policy),
	} {
		s := signedRemote(t, "", policy, bundle)
		require.ErrorContains(t, s.TryPolicy(t.Context()), name)
		said := health(t, &world{url: newServer(t, s)})
		require.False(t, said.PolicyReady)
		require.Regexp(t, `^Sigstore's public trusted root of 20\d\d-\d\d-\d\d$`, said.PolicyTrust)
	}
}

// The copy is that of 2026-11-27; who renews it renews its date.
func TestTheCarriedRootIsThePublicOne(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("trusted_root.json")
	require.NoError(t, err)
	require.Equal(t, "6494e21ea73fa7ee769f85f57d5a3e6a08725eae1e38c755fc3517c9e6bc0b66 of 2026-11-27",
		sha(data)+" of "+kms.PublicRootDate)
	trust, err := root.NewTrustedRootFromJSON(data)
	require.NoError(t, err)
	require.NotEmpty(t, trust.RekorLogs())
	require.NotEmpty(t, trust.FulcioCertificateAuthorities())
	require.NotEmpty(t, trust.TimestampingAuthorities())
}

func TestAPinnedPolicyNeedsNoSignatureWhereThatIsSaid(t *testing.T) {
	t.Parallel()
	policy := policyBytes(t, nil)
	c, err := kms.Load([]string{"MERO_KMS_VERSION=1.2.0", "MERO_KMS_PROFILE=debug", "MERO_KMS_POLICY_SIGNATURE=none",
		"MERO_KMS_POLICY_SHA256=" + sha(policy)}, "/nonexistent")
	require.NoError(t, err)
	none, err := kms.NewPolicySigner(c)
	require.NoError(t, err)
	require.Nil(t, none)
	s := kms.New(c, kms.Parts{Transport: local{serve(policy)}, PolicySigner: none, Now: time.Now,
		Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, s.TryPolicy(t.Context()))
	said := health(t, &world{url: newServer(t, s)})
	require.True(t, said.PolicyReady)
	require.Contains(t, said.Warning, "its pin alone vouches for it")
	require.Empty(t, said.PolicyTrust+said.PolicySignedBy)
}

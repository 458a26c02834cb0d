package sign_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	fulcio "github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/artifact/signature"
)

// byGitHub judges a bundle by the rules of `gh attestation verify FILE --bundle
// --repo --cert-identity --deny-self-hosted-runners --custom-trusted-root` (cli/cli
// pkg/cmd/attestation, read 2026-11), with those for Sigstore's public instance,
// the strictest that it has. The statement's predicate is the one that gh asks for by default.
func byGitHub(t *testing.T, digest, raw, trusted []byte, id signature.Identity) error {
	t.Helper()
	tm, err := ghRoot(trusted)
	if err != nil {
		return err
	}
	b := &bundle.Bundle{}
	require.NoError(t, b.UnmarshalJSON(raw))
	content, err := b.VerificationContent()
	require.NoError(t, err)
	org := content.Certificate().Issuer.Organization
	if !b.MinVersion("0.2") || len(org) != 1 || !ghKnows(tm, org[0]) {
		return errors.New("gh finds no verifier for the bundle")
	}
	v, err := verify.NewVerifier(tm, verify.WithSignedCertificateTimestamps(1), verify.WithTransparencyLog(1),
		verify.WithObserverTimestamps(1))
	require.NoError(t, err)
	san, err := verify.NewSANMatcher(id.SAN(), "")
	require.NoError(t, err)
	issuer, err := verify.NewIssuerMatcher("", ".*")
	require.NoError(t, err)
	who, err := verify.NewCertificateIdentity(san, issuer, fulcio.Extensions{RunnerEnvironment: "github-hosted"})
	require.NoError(t, err)
	result, err := v.Verify(b, verify.NewPolicy(verify.WithArtifactDigest("sha256", digest),
		verify.WithCertificateIdentity(who)))
	if err != nil {
		return err
	}
	owner, _, _ := strings.Cut(id.Repository, "/")
	said := result.Signature.Certificate.Extensions
	for _, c := range [][2]string{{"https://github.com/" + owner, said.SourceRepositoryOwnerURI},
		{"https://github.com/" + id.Repository, said.SourceRepositoryURI},
		{"https://token.actions.githubusercontent.com", said.Issuer},
		{"https://slsa.dev/provenance/v1", result.Statement.PredicateType}} {
		if !strings.EqualFold(c[0], c[1]) {
			return fmt.Errorf("gh expects %s, not %q", c[0], c[1])
		}
	}
	return nil
}

// ghRoot reads the file of --custom-trusted-root: a root on each line, and what
// follows the last line's end is not read.
func ghRoot(trusted []byte) (*root.TrustedRoot, error) {
	end := bytes.IndexByte(trusted, '\n')
	if end < 0 {
		return nil, errors.New("unable to use provided trusted roots")
	}
	return root.NewTrustedRootFromJSON(trusted[:end+1])
}

// ghKnows: gh chooses a root by the organisation that issued the lowest certificate of its authorities.
func ghKnows(tm *root.TrustedRoot, org string) bool {
	for _, a := range tm.FulcioCertificateAuthorities() {
		f, ok := a.(*root.FulcioCertificateAuthority)
		if !ok {
			continue
		}
		lowest := f.Root
		if len(f.Intermediates) > 0 {
			lowest = f.Intermediates[0]
		}
		if len(lowest.Issuer.Organization) > 0 && lowest.Issuer.Organization[0] == org {
			return true
		}
	}
	return false
}

// `gh attestation verify --bundle` takes the provenance's bundle for the files that
// it names, and of nobody else; a trusted root has to be on one line for it.
func TestGitHubTakesTheBundle(t *testing.T) {
	t.Parallel()
	pretty, err := os.ReadFile(instance.TrustedRootPath)
	require.NoError(t, err)
	var line bytes.Buffer
	require.NoError(t, json.Compact(&line, pretty))
	line.WriteByte('\n')
	for name, config := range map[string]string{"v1": instance.SigningConfigPath,
		"v2": instance.SigningConfigRekorV2Path} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			content := []byte(t.Name())
			s, err := signerOver(t, nil, config)(t.Context())
			require.NoError(t, err)
			raw, err := s.Attest(t.Context(), statement(content))
			require.NoError(t, err)
			sum, another := sha256.Sum256(content), sha256.Sum256([]byte("another"))
			require.NoError(t, byGitHub(t, sum[:], raw, line.Bytes(), identity))
			require.Error(t, byGitHub(t, another[:], raw, line.Bytes(), identity))
			for _, change := range []func(*signature.Identity){
				func(i *signature.Identity) { i.Tag.Version.Minor++ },
				func(i *signature.Identity) { i.Repository = "somebody/else" },
			} {
				other := identity
				change(&other)
				require.Error(t, byGitHub(t, sum[:], raw, line.Bytes(), other))
			}
			require.Error(t, byGitHub(t, sum[:], raw, bytes.TrimSpace(line.Bytes()), identity), "no line's end, no root")
		})
	}
}

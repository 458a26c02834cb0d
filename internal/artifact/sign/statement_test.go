package sign_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/artifact/sign"
	"github.com/calimero-network/mero-tee/internal/artifact/signature"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// statement names one file, with the SHA-256 of its content.
func statement(content []byte) []byte {
	return fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v1",`+
		`"subject":[{"name":"a","digest":{"sha256":"%x"}}],`+
		`"predicateType":"https://slsa.dev/provenance/v1","predicate":{}}`+"\n", sha256.Sum256(content))
}

// A statement is signed in its envelope, once, and whoever has the bundle alone verifies the files that it names.
func TestStatements(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]string{"v1": instance.SigningConfigPath,
		"v2": instance.SigningConfigRekorV2Path} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			content := []byte(t.Name())
			dir, names := t.TempDir(), []string{"provenance.intoto.jsonl"}
			writeFile(t, dir, names[0], statement(content))
			v := newVerifier(t, instance, identity)
			r, err := sign.Files(t.Context(), signerOver(t, nil, config), v, dir, names)
			require.NoError(t, err)
			require.Equal(t, names, r.Signed)
			r, err = sign.Files(t.Context(), never, v, dir, names)
			require.NoError(t, err)
			require.Equal(t, names, r.Kept)

			raw, err := os.ReadFile(filepath.Join(dir, names[0]+release.BundleSuffix))
			require.NoError(t, err)
			c, err := v.VerifyStatement(statement(content), raw)
			require.NoError(t, err)
			require.Equal(t, identity.SAN(), c.SAN)
			_, err = v.Verify(sha256.Sum256(content), raw)
			require.NoError(t, err, "a file that it names")
			_, err = v.VerifyStatement(statement([]byte("another")), raw)
			require.ErrorContains(t, err, "signature refused: payload")
			require.Equal(t, fault.Verification, fault.CodeOf(err))
			other := identity
			other.Tag.Version.Minor++
			_, err = newVerifier(t, instance, other).VerifyStatement(statement(content), raw)
			require.ErrorContains(t, err, "signature refused")
			// As `cosign verify-blob-attestation --new-bundle-format` does.
			sum, another := sha256.Sum256(content), sha256.Sum256([]byte("another"))
			require.NoError(t, byCosign(t, sum[:], raw, true, identity))
			require.Error(t, byCosign(t, another[:], raw, true, identity))
			require.ErrorContains(t, byCosign(t, sum[:], raw, true, other), "expected SAN value")

			writeFile(t, dir, names[0], statement([]byte("another")))
			r, err = sign.Files(t.Context(), signerOver(t, nil, config), v, dir, names)
			require.NoError(t, err)
			require.Equal(t, names, r.Signed, "an outdated bundle is replaced")
		})
	}
}

// What is no statement's bundle is refused by its own name.
func TestBundlesOfNoStatement(t *testing.T) {
	t.Parallel()
	s, err := signerOver(t, nil, instance.SigningConfigPath)(t.Context())
	require.NoError(t, err)
	v := newVerifier(t, instance, identity)
	said := statement([]byte(t.Name()))
	_, plain := signedWith(t, s)
	_, err = v.VerifyStatement(said, plain)
	require.ErrorContains(t, err, "signature refused: bundle")
	raw, err := s.Attest(t.Context(), said)
	require.NoError(t, err)
	_, err = v.VerifyStatement(said, bytes.Replace(raw, []byte(signature.StatementType), []byte("application/json"), 1))
	require.ErrorContains(t, err, "signature refused: payload type")
	_, err = v.VerifyStatement(said, raw[:len(raw)/2])
	require.ErrorContains(t, err, "signature refused: bundle")
}

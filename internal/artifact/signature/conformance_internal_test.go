package signature

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// suite is Sigstore's conformance suite, beside this repository:
// git clone https://github.com/sigstore/sigstore-conformance
const suite = "../../../../sigstore-conformance/test/assets/bundle-verify"

// The signer of the suite's own bundles.
const beacon = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/" +
	"extremely-dangerous-oidc-beacon.yml@refs/heads/main"

// Every bundle that the suite accepts is taken, but those of a key without a
// certificate, which name no signer; none that it wants refused is.
func TestConformance(t *testing.T) {
	t.Parallel()
	cases, err := os.ReadDir(suite)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("Sigstore's conformance suite is not beside the repository")
	}
	require.NoError(t, err)
	judged := 0
	for _, c := range cases {
		if !c.IsDir() {
			continue
		}
		judged++
		t.Run(c.Name(), func(t *testing.T) {
			t.Parallel()
			err := verifyCase(t, filepath.Join(suite, c.Name()))
			switch name := c.Name(); {
			case strings.HasSuffix(name, "_fail"):
				require.Error(t, err)
			case strings.HasPrefix(name, "managed-key-"):
				var f *fault.Error
				require.ErrorAs(t, err, &f)
				require.Equal(t, "it holds no certificate", f.Got)
			default:
				require.NoError(t, err)
			}
		})
	}
	require.Greater(t, judged, 60)
}

// verifyCase verifies a case's bundle as the suite says: under its root or the
// public one, over its artifact or the common one, by its signer.
func verifyCase(t *testing.T, dir string) error {
	t.Helper()
	tm, err := root.NewTrustedRootFromJSON(caseFile(t, dir, "trusted_root.json", filepath.Join(sigstoreGo(t), "examples",
		"trusted-root-public-good.json")))
	if err != nil {
		return err
	}
	issuer, signer := caseWord(t, dir, "issuer", Issuer), caseWord(t, dir, "identity", beacon)
	id, err := verify.NewShortCertificateIdentity(issuer, "", signer, "")
	require.NoError(t, err)
	v, err := newVerifier(tm, Identity{}, verify.WithCertificateIdentity(id))
	require.NoError(t, err)
	_, err = v.Verify(sha256.Sum256(caseFile(t, dir, "artifact", filepath.Join(suite, "a.txt"))),
		caseFile(t, dir, "bundle.sigstore.json", ""))
	return err
}

func caseFile(t *testing.T, dir, name, otherwise string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) && otherwise != "" {
		raw, err = os.ReadFile(otherwise)
	}
	require.NoError(t, err)
	return raw
}

func caseWord(t *testing.T, dir, name, otherwise string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return otherwise
	}
	require.NoError(t, err)
	return strings.TrimSpace(string(raw))
}

// sigstoreGo is the folder of the library's sources, which have bundles and roots of the public instance.
func sigstoreGo(t *testing.T) string {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/sigstore/sigstore-go").
		Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(dir))
}

// A bundle of npm's, of 2023, under the public root: other version, other JSON, a statement about a package.
func TestABundleOfThePublicInstance(t *testing.T) {
	t.Parallel()
	data := filepath.Join(sigstoreGo(t), "pkg", "testing", "data")
	raw, err := os.ReadFile(filepath.Join(data, "bundles", "sigstore.js@2.0.0-provenance.sigstore.json"))
	require.NoError(t, err)
	b, form, err := decode(raw)
	require.NoError(t, err)
	require.Contains(t, form, "media type")
	tm, err := root.NewTrustedRootFromPath(filepath.Join(data, "trusted-roots", "public-good.json"))
	require.NoError(t, err)
	id, err := verify.NewShortCertificateIdentity(Issuer, "", "", "^https://github.com/sigstore/sigstore-js/")
	require.NoError(t, err)
	v, err := newVerifier(tm, Identity{}, verify.WithCertificateIdentity(id))
	require.NoError(t, err)
	_, err = v.Verify([32]byte{}, raw)
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Equal(t, "signature refused: digest", f.Message, "it names its package by SHA-512, never ours")
	envelope, err := b.Envelope()
	require.NoError(t, err)
	statement, err := envelope.Statement()
	require.NoError(t, err)
	require.Len(t, statement.GetSubject(), 1)
}

package ita

import (
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
)

func intelKeys(t testing.TB) (jwks []byte, kid string) {
	t.Helper()
	jwks, err := os.ReadFile("testdata/intel-certs.json")
	require.NoError(t, err)
	var set struct{ Keys []struct{ Kid string } }
	require.NoError(t, json.Unmarshal(jwks, &set))
	require.Len(t, set.Keys, 2)
	return jwks, set.Keys[0].Kid
}

// What Intel served until September 2024 verifies to the root that production pins.
func TestIntelsOwnChain(t *testing.T) {
	t.Parallel()
	jwks, kid := intelKeys(t)
	root, err := tdx.ParseRoot(IntelRootSHA256)
	require.NoError(t, err)
	then := time.Date(2024, 6, 6, 0, 0, 0, 0, time.UTC)
	for _, algorithm := range []string{"PS384", "RS256"} {
		certificates, err := certificatesOf(jwks, kid, algorithm)
		require.NoError(t, err)
		chain, err := pinnedChain(certificates, root, then)
		require.NoError(t, err)
		require.Len(t, chain, 3)
		sum := sha512.Sum384(chain[0].Raw)
		require.Equal(t, hex.EncodeToString(sum[:]), kid)
		for _, cert := range chain[:2] {
			require.Contains(t, cert.CRLDistributionPoints[0], "https://portal.trustauthority.intel.com/crl/")
		}
	}
	certificates, err := certificatesOf(jwks, kid, "PS384")
	require.NoError(t, err)
	_, err = pinnedChain(certificates, root, then.AddDate(1, 0, 0))
	require.ErrorContains(t, err, "expired")
	_, err = pinnedChain(certificates, [32]byte{1}, then)
	require.ErrorContains(t, err, "not the pinned one")
	_, err = pinnedChain(certificates[1:], root, then)
	require.ErrorContains(t, err, "no key for signatures", "a CA signs no tokens")
	_, err = pinnedChain(certificates[2:], root, then)
	require.ErrorContains(t, err, "1 certificates")
	_, err = pinnedChain(append(certificates[:1:1], certificates[2]), root, then)
	require.ErrorContains(t, err, "unknown authority")
	for _, wrong := range [][2]string{{"another", "PS384"}, {kid, "ES256"}} {
		_, err = certificatesOf(jwks, wrong[0], wrong[1])
		require.ErrorContains(t, err, "none of")
	}
}

// "Implementations SHOULD ignore JWKs within a JWK Set that use "kty" (key type) values that are not understood by
// them" (RFC 7517, section 5): a key that is added for other readers takes nothing from the one that signed.
func TestKeysOfOtherKindsAreIgnored(t *testing.T) {
	t.Parallel()
	jwks, kid := intelKeys(t)
	for name, other := range map[string]string{
		"a type that is not known":    `{"kty":"AKP","alg":"ML-DSA-87","kid":"k","pub":"AA"}`,
		"the same kid":                `{"kty":"AKP","alg":"ML-DSA-87","kid":"` + kid + `","pub":"AA"}`,
		"a curve that is not known":   `{"kty":"OKP","crv":"Ed448","alg":"EdDSA","kid":"k","x":"AA"}`,
		"without a member it needs":   `{"kty":"EC","alg":"ES384","kid":"k"}`,
		"without an algorithm or kid": `{"kty":"EC"}`,
		"members of another form":     `{"kty":1,"alg":["PS384"],"kid":{"k":1}}`,
	} {
		with := strings.Replace(string(jwks), `"keys": [`, `"keys": [`+other+`,`, 1)
		require.Contains(t, with, other)
		certificates, err := certificatesOf([]byte(with), kid, "PS384")
		require.NoError(t, err, name)
		require.Len(t, certificates, 3, name)
	}
	broken := strings.Replace(string(jwks), `"kty": "RSA"`, `"kty": "EC"`, 2)
	_, err := certificatesOf([]byte(broken), kid, "PS384")
	require.ErrorContains(t, err, "the key of", "the one that signed must be understood")
}

func FuzzKeys(f *testing.F) {
	jwks, kid := intelKeys(f)
	f.Add(jwks)
	f.Add([]byte(`{"keys":[{"kty":"RSA","alg":"PS384","kid":"` + kid + `","n":"AQ","e":"AQAB","x5c":[]}]}`))
	root, err := tdx.ParseRoot(IntelRootSHA256)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, data []byte) {
		certificates, err := certificatesOf(data, kid, "PS384")
		if err != nil {
			return
		}
		chain, err := pinnedChain(certificates, root, time.Date(2024, 6, 6, 0, 0, 0, 0, time.UTC))
		if err == nil {
			require.Equal(t, "Intel Trust Authority Root CA", chain[len(chain)-1].Subject.CommonName)
		}
	})
}

package ita_test

import (
	"bufio"
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/gobuild"
	"github.com/calimero-network/mero-tee/internal/rehearsal/ita"
)

func hexOf(b []byte) string { return hex.EncodeToString(b) }

func certificates(t *testing.T, jwks []byte) []*x509.Certificate {
	t.Helper()
	var set jose.JSONWebKeySet
	require.NoError(t, json.Unmarshal(jwks, &set))
	require.Len(t, set.Keys, 2, "one kid, two algorithms")
	require.Equal(t, set.Keys[0].KeyID, set.Keys[1].KeyID)
	return set.Keys[0].Certificates
}

// Intel's own connector v1.7.0, unchanged, in a process of its own, gets a nonce, has a
// quote over it appraised, and verifies the token, its chain and both revocation lists.
func TestIntelsConnectorAcceptsTheTokens(t *testing.T) {
	t.Parallel()
	program, err := gobuild.Build(t.Context(), gobuild.Spec{Name: "ita", Module: "../../../tools/ita", Package: "."},
		func(s string) { t.Log(s) })
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		algorithm, key string
		fault          func(*ita.Faults)
		refusal        string
	}{
		"PS384":       {"PS384", key, nil, ""},
		"RS256":       {"RS256", key, nil, ""},
		"wrong key":   {"PS384", "another", nil, "StatusCode = 401"},
		"wrong nonce": {"PS384", key, func(k *ita.Faults) { k.WrongNonce = true }, "invalid nonce"},
		"revoked":     {"PS384", key, func(k *ita.Faults) { k.Revoked = true }, "Certificate was Revoked"},
		"stale lists": {"PS384", key, func(k *ita.Faults) { k.StaleLists = true }, "Outdated CRL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if tc.fault != nil {
				w.service.Change(tc.fault)
			}
			claims, said, err := w.connect(t, program, tc.algorithm, tc.key)
			if tc.refusal != "" {
				require.Error(t, err)
				require.Contains(t, said, tc.refusal)
				return
			}
			require.NoError(t, err, said)
			require.Equal(t, "https://portal.trustauthority.intel.com", claims["iss"])
			require.Equal(t, "UpToDate", claims["attester_tcb_status"])
			require.Equal(t, w.td.Registers().MRTD.String(), claims["tdx_mrtd"])
			require.Equal(t, base64.StdEncoding.EncodeToString([]byte("user data")), claims["attester_held_data"])
		})
	}
}

// connect runs the connector against this world and makes the quote that it asks for.
func (w *world) connect(t *testing.T, program, algorithm, key string) (claims map[string]any, said string, err error) {
	t.Helper()
	proxy, err := w.network.Proxy()
	require.NoError(t, err)
	certificate := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(certificate, proxy.CertificatePEM, 0o600))
	cmd := exec.CommandContext(t.Context(), program, algorithm)
	cmd.Env = []string{"HTTPS_PROXY=" + proxy.URL, "SSL_CERT_FILE=" + certificate, "SSL_CERT_DIR=/nonexistent",
		"ITA_API_KEY=" + key}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewReader(out)
	if wanted, err := lines.ReadString('\n'); err == nil {
		reportData, err := hex.DecodeString(wanted[:len(wanted)-1])
		require.NoError(t, err)
		quote, err := w.td.Quote(4, [64]byte(reportData))
		require.NoError(t, err)
		_, _ = fmt.Fprintln(in, base64.StdEncoding.EncodeToString(quote)) // a program that has ended tells why
	}
	_ = json.NewDecoder(lines).Decode(&claims)
	err = cmd.Wait()
	return claims, stderr.String(), err
}

package environment_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// asked are the addresses that were asked; only Google's token server answers.
type asked struct {
	mu   sync.Mutex
	urls []string
}

func (a *asked) RoundTrip(r *http.Request) (*http.Response, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.urls = append(a.urls, r.URL.Host+r.URL.Path)
	status, body := http.StatusNotFound, `{"error":{"code":404,"message":"no such thing","status":"NOT_FOUND"}}`
	if r.URL.Host == "oauth2.googleapis.com" {
		status, body = http.StatusOK, `{"access_token":"t","token_type":"Bearer","expires_in":3600}`
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
		Body: io.NopCloser(strings.NewReader(body))}, nil
}

// serviceAccount is a key as Google writes it.
func serviceAccount(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	data, err := json.Marshal(map[string]string{"type": "service_account", "client_email": "a@p.iam.gserviceaccount.com",
		"token_uri":   "https://oauth2.googleapis.com/token",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))})
	require.NoError(t, err)
	return string(data)
}

// "Google Cloud project for VM image storage and TDX instance creation", "target
// zone for TDX-capable GCP instances", "URL for the Phala dstack instance used in
// E2E tests": the clients of a release ask there, and nowhere else.
func TestProductionAsksWhereTheVariablesSay(t *testing.T) {
	t.Parallel()
	for _, where := range []struct{ project, zone, dstack string }{
		{"mero-tee-prod", "us-central1-a", "https://cloud-api.phala.com/api/v1"},
		{"another-project", "europe-west4-b", "https://dstack.example/api/v2"},
	} {
		e := production(t, t.TempDir(), map[string]string{"GCP_PROJECT_ID": where.project, "GCP_ZONE": where.zone,
			"GCP_SERVICE_ACCOUNT_KEY": serviceAccount(t), "PHALA_DSTACK_URL": where.dstack, "PHALA_CLOUD_API_KEY": "key"})
		there := &asked{}
		e.Transport = there
		cloud, err := e.Cloud(t.Context(), nil)
		require.NoError(t, err)
		_, err = cloud.Instance(t.Context(), "vm")
		require.Error(t, err)
		require.NoError(t, cloud.Close())
		_, err = e.Dstack().Get(t.Context(), "app_1")
		require.Error(t, err)
		require.Equal(t, []string{"oauth2.googleapis.com/token",
			"compute.googleapis.com/compute/v1/projects/" + where.project + "/zones/" + where.zone + "/instances/vm",
			strings.TrimPrefix(where.dstack, "https://") + "/cvms/app_1"}, there.urls)
	}
}

package companion

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRules(t *testing.T) {
	t.Parallel()
	r, err := parseRule("!(PathPrefix(`/a`) || Path(\"/b\")) && Method(`get`)")
	require.NoError(t, err)
	for path, want := range map[string]bool{"/a": false, "/ab": false, "/b": false, "/bc": true, "/": true} {
		require.Equal(t, want, r(&http.Request{Method: "GET", URL: &url.URL{Path: path}}), path)
		require.False(t, r(&http.Request{Method: "POST", URL: &url.URL{Path: path}}), path)
	}
}

func FuzzParseRule(f *testing.F) {
	f.Add("Method(`GET`) && (Path(`/a`) || !PathPrefix(`/b`))")
	f.Add("Path(`a`)")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parseRule(text)
		require.NotEqual(t, err == nil, r == nil)
		if err == nil {
			r(&http.Request{Method: "GET", URL: &url.URL{Path: "/a"}})
		}
	})
}

func FuzzParseSettings(f *testing.F) {
	f.Add("[identity]\nkeypair = \"x\"\n[server]\nlisten = [\"/ip4/127.0.0.1/tcp/2528\"]\n[datastore]\npath = \"data\"\n")
	f.Add("[tee.kms.phala]\nurl = \"https://x\"\n[tee.kms.phala.attestation]\nenabled = true\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseSettings(text)
		if err == nil {
			require.NotEmpty(t, s.Server.Listen)
			for _, l := range s.Server.Listen {
				_, _ = dialled(l)
			}
		}
	})
}

package releasetest

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// Counting counts the requests to GitHub that change something.
type Counting struct {
	Next   http.RoundTripper
	Writes *atomic.Int64
}

// RoundTrip counts a request.
func (c *Counting) RoundTrip(r *http.Request) (*http.Response, error) {
	if WritesToGitHub(r) {
		c.Writes.Add(1)
	}
	return c.Next.RoundTrip(r)
}

// WritesToGitHub says whether a request changes something there.
func WritesToGitHub(r *http.Request) bool {
	host := r.URL.Hostname()
	return Changes(r) && (host == "api.github.com" || host == "uploads.github.com")
}

// Changes says whether a request changes something.
func Changes(r *http.Request) bool { return r.Method != http.MethodGet && r.Method != http.MethodHead }

// Pulls lists the titles of all pull requests.
func (p *Process) Pulls(t testing.TB) []string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
		"https://api.github.com/repos/"+config.DefaultRepository+"/pulls?state=all", nil)
	require.NoError(t, err)
	req.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	resp, err := p.Env.Client().Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	var list []struct{ Title string }
	require.NoError(t, json.Unmarshal(data, &list))
	var titles []string
	for _, pr := range list {
		titles = append(titles, pr.Title)
	}
	return titles
}

// Upload makes a draft of the tag that holds one file.
func Upload(t testing.TB, c *github.Client, tag release.Tag, commit, path string) {
	t.Helper()
	draft, err := c.CreateDraft(t.Context(), github.Draft{Tag: tag.String(), Title: "forged",
		Notes: "Built from commit " + commit + ".\n"})
	require.NoError(t, err)
	sum, size, err := digest.OfFile(path)
	require.NoError(t, err)
	_, err = c.Upload(t.Context(), draft, github.File{Name: filepath.Base(path), Size: size, Digest: sum.String(),
		ContentType: "application/json", Open: func() (io.ReadCloser, error) { return os.Open(path) }})
	require.NoError(t, err)
}

// Forgery is a change that an audit must find.
type Forgery struct {
	Forge func(path string) error // of an asset
	Code  fault.Code
}

// Forgeries are some, by name.
func Forgeries() map[string]Forgery {
	return map[string]Forgery{
		"a byte changed": {ChangeByte, fault.Verification},
		"no signature":   {func(path string) error { return os.Remove(path + release.BundleSuffix) }, fault.MissingAsset},
	}
}

// ChangeByte changes a byte in the middle of a file.
func ChangeByte(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	data[len(data)/2] ^= 1
	return os.WriteFile(path, data, 0o600)
}

// WrongVersions are values of a version variable that do not agree with tag v0.1.0, by name.
func WrongVersions() map[string]release.Version {
	return map[string]release.Version{"another": {Minor: 2}, "of the candidate": {Minor: 1, Candidate: 1}, "not set": {}}
}

// EmptyCatalog is a compatibility catalog that lists nothing.
const EmptyCatalog = "{\n  \"schema_version\": \"1\",\n  \"entries\": []\n}\n"

// AllowedWorkflow is a workflow that guard 4 refuses.
const AllowedWorkflow = "on: push\nenv:\n  ALLOWED_MRTD: aa\n" +
	"jobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n      - run: make\n"

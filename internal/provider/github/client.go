// Package github speaks the little of GitHub's REST API that a release needs:
// releases and their assets, tags, and pull requests with changed files.
//
// Its promise: what it reports was said by GitHub over the production host
// names, downloads are byte-exact, the token leaves only for github.com and its
// subdomains, and a request that may have had its effect is never repeated
// before it was looked up.
package github

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/cli/go-gh/v2/pkg/api"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/retry"
	"github.com/calimero-network/mero-tee/internal/release"
)

const (
	webHost    = "github.com"
	apiHost    = "api.github.com"
	uploadHost = "uploads.github.com"

	apiVersion = "2022-11-28"

	callTimeout = time.Minute // one JSON exchange; go-gh itself has no limit
	maxAnswer   = 32 << 20    // bytes of one JSON answer: 100 releases of 40 assets are about 8 MB
)

// Options says which repository, as whom, and over which network.
type Options struct {
	Repository string            // "owner/name"
	Token      string            // empty: a stranger, who may read what is public
	Transport  http.RoundTripper // nil: http.DefaultTransport
	// Wait pauses between attempts and returns early when ctx ends; nil: retry.For.
	Wait func(ctx context.Context, d time.Duration) error
}

// Client is safe for concurrent use.
type Client struct {
	repository string
	token      string
	rest       *api.RESTClient // JSON in, JSON out
	upload     *http.Client    // same credentials, streams a body
	plain      *http.Client    // no credentials, no rewriting of bodies
	policy     retry.Policy
}

// New checks the options and reads nothing from the environment or from gh's
// own configuration.
func New(o Options) (*Client, error) {
	if !release.ValidRepository(o.Repository) {
		return nil, &fault.Error{Code: fault.Usage, Message: "not a GitHub repository",
			Expected: "owner/name", Got: fmt.Sprintf("%q", o.Repository)}
	}
	transport := o.Transport
	if transport == nil {
		transport = http.DefaultTransport
	}
	policy := retry.Usual()
	policy.Wait = o.Wait
	options := clientOptions(o.Token, transport)
	rest, err := api.NewRESTClient(options)
	if err != nil {
		return nil, fmt.Errorf("github client: %w", err)
	}
	options.Timeout = 0 // an upload takes as long as it makes progress: see progress.go
	upload, err := api.NewHTTPClient(options)
	if err != nil {
		return nil, fmt.Errorf("github upload client: %w", err)
	}
	return &Client{repository: o.Repository, token: o.Token, rest: rest, upload: upload,
		plain: &http.Client{Transport: transport, CheckRedirect: withoutCredentials}, policy: policy}, nil
}

// clientOptions leaves nothing for go-gh to look up. Without APIHost it would
// take api_host from the user's gh configuration, without AuthToken it would
// run `gh auth token`, without LogIgnoreEnv GH_DEBUG would print headers.
func clientOptions(token string, transport http.RoundTripper) api.ClientOptions {
	transport = bounded{transport}
	if token == "" {
		token, transport = "none", stranger{transport}
	}
	return api.ClientOptions{
		Host: webHost, APIHost: apiHost, AuthToken: token, Transport: transport, LogIgnoreEnv: true,
		SkipDefaultHeaders: true, Headers: map[string]string{
			"Accept": "application/vnd.github+json", "Content-Type": "application/json",
			"User-Agent": "mero-tee", "X-GitHub-Api-Version": apiVersion,
		},
		// Following a 301 of a renamed repository would turn a POST into a GET that "succeeds".
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       callTimeout,
	}
}

// bounded limits what one answer may hold.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(r)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxAnswer)
	}
	return resp, err
}

// stranger sends no credentials: go-gh refuses to be built without a token.
type stranger struct{ next http.RoundTripper }

func (s stranger) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Del("Authorization")
	return s.next.RoundTrip(r)
}

// Access is what GitHub says of the token, without anything being written.
type Access struct {
	Push   bool     // the token's owner may write to the repository
	Scopes []string // of a classic token; nil when GitHub names none, as for fine-grained tokens and a job's own
}

// Access asks for the repository as the token's owner sees it; ErrNotFound when
// the token does not reach it.
func (c *Client) Access(ctx context.Context) (Access, error) {
	var out Access
	err := c.retry(ctx, func(int) (err error) {
		out, err = c.access(ctx)
		return err
	})
	return out, explain("repository "+c.repository, err)
}

func (c *Client) access(ctx context.Context) (Access, error) {
	resp, err := c.rest.RequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.path(""), "/"), nil)
	if err != nil {
		return Access{}, err
	}
	defer resp.Body.Close()
	var answer struct {
		Permissions struct{ Push bool }
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return Access{}, err
	}
	return Access{Push: answer.Permissions.Push, Scopes: scopes(resp.Header.Get("X-OAuth-Scopes"))}, nil
}

func scopes(header string) (out []string) {
	for scope := range strings.SplitSeq(header, ",") {
		if scope = strings.TrimSpace(scope); scope != "" {
			out = append(out, scope)
		}
	}
	return out
}

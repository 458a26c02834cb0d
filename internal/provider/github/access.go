package github

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
)

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
	defer resp.Body.Close() //nolint:errcheck // read to its end below
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

package github

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/cli/go-gh/v2/pkg/api"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

const maxPages = 100 // of 100 entries each

// call does one JSON exchange below repos/owner/name.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	if err := inside(path); err != nil {
		return err
	}
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	return c.rest.DoWithContext(ctx, method, c.path(path), body, out)
}

// idempotent is call for GET, PATCH, PUT and DELETE.
func (c *Client) idempotent(ctx context.Context, method, path string, in, out any) error {
	return c.retry(ctx, func(int) error { return c.call(ctx, method, path, in, out) })
}

func (c *Client) path(path string) string { return "repos/" + c.repository + "/" + path }

var nextLink = regexp.MustCompile(`<([^<>]+)>;\s*rel="next"`)

// pages reads every page of a list.
func pages[T any](ctx context.Context, c *Client, path string) ([]T, error) {
	all := []T{}
	next := c.path(path)
	for range maxPages {
		page, link, err := onePage[T](ctx, c, next)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if link == "" {
			return all, nil
		}
		next = link
	}
	return nil, fmt.Errorf("more than %d pages", maxPages)
}

func onePage[T any](ctx context.Context, c *Client, path string) (page []T, next string, err error) {
	err = c.retry(ctx, func(int) error {
		resp, err := c.rest.RequestWithContext(ctx, http.MethodGet, path, nil)
		if err != nil {
			return err
		}
		defer resp.Body.Close() //nolint:errcheck // read to its end below
		page = nil
		if err := json.NewDecoder(resp.Body).Decode(&page); err != nil {
			return err
		}
		next, err = sameAPI(resp.Header.Get("Link"))
		return err
	})
	return page, next, err
}

// sameAPI takes the address of the next page and refuses one that would carry the token elsewhere.
func sameAPI(link string) (string, error) {
	m := nextLink.FindStringSubmatch(link)
	if m == nil {
		return "", nil
	}
	if !strings.HasPrefix(m[1], "https://"+apiHost+"/") {
		return "", &fault.Error{Code: fault.General, Message: "the next page of a list is not on " + apiHost, Got: fmt.Sprintf("%q", m[1])}
	}
	return m[1], nil
}

// rejected says whether GitHub answered 422 because the thing is there already.
func rejected(err error) bool {
	answer, ok := statusOf(err)
	return ok && answer.StatusCode == http.StatusUnprocessableEntity
}

func notFound(err error) bool {
	answer, ok := statusOf(err)
	return ok && answer.StatusCode == http.StatusNotFound
}

func statusOf(err error) (*api.HTTPError, bool) {
	var answer *api.HTTPError
	ok := errors.As(err, &answer)
	return answer, ok
}

func segment(s string) string { return url.PathEscape(s) }

// escaped keeps the slashes of a branch or path and escapes the rest.
func escaped(s string) string {
	parts := strings.Split(s, "/")
	for i := range parts {
		parts[i] = segment(parts[i])
	}
	return strings.Join(parts, "/")
}

// inside refuses a path with a dot segment, which a server may resolve to another repository.
func inside(path string) error {
	path, _, _ = strings.Cut(path, "?")
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || part == "." || part == ".." {
			return &fault.Error{Code: fault.Usage, Message: "not a path inside the repository", Got: fmt.Sprintf("%q", path)}
		}
	}
	return nil
}

package github

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/cli/go-gh/v2/pkg/api"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/retry"
)

const maxEntries = 10_000 // of one list, in pages of whatever length

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

// pageSizes are tried one after the other: GitHub may not answer in time for a
// long page (502, 504, or nothing, or half of it), and then does for a short one.
func pageSizes(path string) []int {
	if path == "releases" { // with all of their assets
		return []int{30, 10, 3}
	}
	return []int{100, 30, 10}
}

// pages reads every page of a list. When GitHub fails at one, the list is read
// from its beginning in shorter pages, whose numbers mean something else.
func pages[T any](ctx context.Context, c *Client, path string, query url.Values) ([]T, error) {
	return read(ctx, &list[T]{client: c, address: c.path(path), query: query, sizes: pageSizes(path)})
}

// pagesIn is pages for a list that comes in a field of an object.
func pagesIn[T any](ctx context.Context, c *Client, path, field string, query url.Values) ([]T, error) {
	return read(ctx, &list[T]{client: c, address: c.path(path), query: query, sizes: pageSizes(path), field: field})
}

func read[T any](ctx context.Context, l *list[T]) ([]T, error) {
	for l.begin(); l.next != ""; {
		if l.pages*l.sizes[0] >= maxEntries {
			return nil, fmt.Errorf("more than %d entries", maxEntries)
		}
		if err := l.client.retry(ctx, func(int) error { return l.page(ctx) }); err != nil {
			return nil, err
		}
	}
	return l.all, nil
}

// list is one that is being read.
type list[T any] struct {
	client  *Client
	address string
	query   url.Values
	sizes   []int  // of pages, the one in use first
	field   string // of the object that holds the list; empty: the answer is the list
	all     []T
	pages   int
	next    string // address of the next page; empty after the last
}

func (l *list[T]) begin() {
	query := maps.Clone(l.query)
	query.Set("per_page", strconv.Itoa(l.sizes[0]))
	l.all, l.pages, l.next = []T{}, 0, l.address+"?"+query.Encode()
}

// page reads the next page. An answer that is a refusal says nothing of the length of pages.
func (l *list[T]) page(ctx context.Context) error {
	page, next, err := l.fetch(ctx)
	if err == nil {
		l.all, l.pages, l.next = append(l.all, page...), l.pages+1, next
		return nil
	}
	answer, answered := statusOf(err)
	if tooLong := !answered || retry.Busy(answer.StatusCode) && !limited(answer); tooLong && len(l.sizes) > 1 {
		l.sizes = l.sizes[1:]
		l.begin()
	}
	return err
}

func (l *list[T]) fetch(ctx context.Context) (page []T, next string, err error) {
	resp, err := l.client.rest.RequestWithContext(ctx, http.MethodGet, l.next, nil)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	if page, err = l.decode(resp.Body); err != nil {
		return nil, "", err
	}
	next, err = sameAPI(resp.Header.Values("Link"))
	return page, next, err
}

func (l *list[T]) decode(body io.Reader) (page []T, err error) {
	if l.field == "" {
		err = json.NewDecoder(body).Decode(&page)
		return page, err
	}
	var object map[string]json.RawMessage
	if err = json.NewDecoder(body).Decode(&object); err == nil {
		err = json.Unmarshal(object[l.field], &page) // without the field there is nothing to read, which is an error
	}
	return page, err
}

// sameAPI takes the address of the next page and refuses one that would carry the token elsewhere.
func sameAPI(links []string) (string, error) {
	next := nextLink(strings.Join(links, ", "))
	if next != "" && !strings.HasPrefix(next, "https://"+apiHost+"/") {
		return "", &fault.Error{Code: fault.General, Message: "the next page of a list is not on " + apiHost,
			Got: fmt.Sprintf("%q", next)}
	}
	return next, nil
}

// One link of RFC 8288: an address, and parameters whose values may stand in quotes.
var (
	link = regexp.MustCompile(
		`^[\s,]*<([^<>]*)>((?:\s*;\s*[^\s=;,"<>]+(?:\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^\s;,"]*))?)*)`)
	parameter = regexp.MustCompile(`;\s*([^\s=;,"<>]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*))`)
)

// nextLink is the address of the first link whose relation is "next"; empty where there is none.
func nextLink(links string) string {
	for {
		m := link.FindStringSubmatch(links)
		if m == nil {
			return ""
		}
		for _, p := range parameter.FindAllStringSubmatch(m[2], -1) {
			if !strings.EqualFold(p[1], "rel") {
				continue
			}
			for relation := range strings.FieldsSeq(p[2] + p[3]) {
				if strings.EqualFold(relation, "next") {
					return m[1]
				}
			}
			break // "occurrences after the first MUST be ignored"
		}
		links = links[len(m[0]):]
	}
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

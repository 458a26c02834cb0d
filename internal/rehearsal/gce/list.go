package gce

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
)

// page is a list, in the form that all of the API's have. The rehearsal's are
// short: every list is one page. Items are []json.RawMessage, or by scope in an
// aggregated list.
type page struct {
	Kind     string `json:"kind"`
	ID       string `json:"id"`
	SelfLink string `json:"selfLink"`
	Items    any    `json:"items,omitempty"`
}

func newPage(q request, kind string) *page {
	path := pathOf(q.URL.Path)
	return &page{Kind: "compute#" + kind, ID: path, SelfLink: root + path}
}

// list answers with those resources that the request's filter admits.
func list[T resource](q request, kind string, all []T) (any, error) {
	p := newPage(q, kind)
	items, err := filtered(q, all)
	if len(items) > 0 {
		p.Items = items
	}
	return p, err
}

// aggregate is list for all scopes, of which the rehearsal has one.
func aggregate[T resource](q request, kind, scope, collection string, all []T) (any, error) {
	p := newPage(q, kind)
	items, err := filtered(q, all)
	in := map[string]any{collection: items}
	if len(items) == 0 {
		in = map[string]any{"warning": map[string]any{"code": "NO_RESULTS_ON_PAGE",
			"message": "There are no results for scope '" + scope + "' on this page.",
			"data":    []any{map[string]string{"key": "scope", "value": scope}}}}
	}
	p.Items = map[string]any{scope: in}
	return p, err
}

func filtered[T resource](q request, all []T) (items []json.RawMessage, err error) {
	for _, name := range []string{"orderBy", "maxResults", "pageToken"} {
		if value := q.URL.Query().Get(name); value != "" {
			return nil, invalid(name, value, "The rehearsal answers with all, in the order of their names.")
		}
	}
	f, err := parseFilter(q.URL.Query().Get("filter"))
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b T) int { return strings.Compare(a.GetName(), b.GetName()) })
	for _, r := range all {
		data, err := protojson.Marshal(r)
		if err != nil {
			return nil, err
		}
		if f.admits(data) {
			items = append(items, data)
		}
	}
	return items, nil
}

// filter is the part of the API's language that is served here: fields with the
// values that all of them must have.
type filter [][2]string

var comparison = regexp.MustCompile(`^\(([A-Za-z][\w.-]*)=([\w.-]+)\)(?: |$)`)

// parseFilter reads "a=b" and "(a=b) (c=d)".
func parseFilter(text string) (f filter, err error) {
	rest := text
	if text != "" && !strings.HasPrefix(text, "(") {
		rest = "(" + text + ")"
	}
	for rest != "" {
		m := comparison.FindStringSubmatch(rest)
		if m == nil {
			return nil, refuse(http.StatusBadRequest, "invalid", "Invalid list filter expression: %s", text)
		}
		f, rest = append(f, [2]string{m[1], m[2]}), rest[len(m[0]):]
	}
	return f, nil
}

func (f filter) admits(data json.RawMessage) bool {
	for _, c := range f {
		var value any
		_ = json.Unmarshal(data, &value) // a resource's own JSON
		for name := range strings.SplitSeq(c[0], ".") {
			object, _ := value.(map[string]any)
			value = object[name]
		}
		if value == nil || fmt.Sprint(value) != c[1] {
			return false
		}
	}
	return true
}

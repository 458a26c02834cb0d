package gce

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
)

const maxPage = 500

// page is the part of a list that one answer has. All of the API's lists have
// this form; Items are []json.RawMessage, or by scope in an aggregated list.
type page struct {
	Kind          string `json:"kind"`
	ID            string `json:"id"`
	SelfLink      string `json:"selfLink"`
	Items         any    `json:"items,omitempty"`
	NextPageToken string `json:"nextPageToken,omitempty"`
}

// list filters, orders and cuts a list as the request's parameters say.
func list[T resource](q request, kind string, all []T) (any, error) {
	p, items, err := pageOf(q, kind, all)
	if len(items) > 0 {
		p.Items = items
	}
	return p, err
}

// aggregate is list for all scopes, of which the rehearsal has one.
func aggregate[T resource](q request, kind, scope, collection string, all []T) (any, error) {
	p, items, err := pageOf(q, kind, all)
	in := map[string]any{collection: items}
	if len(items) == 0 {
		in = map[string]any{"warning": map[string]any{"code": "NO_RESULTS_ON_PAGE",
			"message": "There are no results for scope '" + scope + "' on this page.",
			"data":    []any{map[string]string{"key": "scope", "value": scope}}}}
	}
	p.Items = map[string]any{scope: in}
	return p, err
}

func pageOf[T resource](q request, kind string, all []T) (*page, []json.RawMessage, error) {
	path, query := pathOf(q.URL.Path), q.URL.Query()
	p := &page{Kind: "compute#" + kind, ID: path, SelfLink: root + path}
	f, err := parseFilter(query.Get("filter"))
	if err != nil {
		return p, nil, err
	}
	size, start, err := bounds(query.Get("maxResults"), query.Get("pageToken"))
	if err != nil {
		return p, nil, err
	}
	if by := query.Get("orderBy"); by != "" {
		return p, nil, invalid("orderBy", by, "The rehearsal orders by name.")
	}
	slices.SortFunc(all, func(a, b T) int { return strings.Compare(a.GetName(), b.GetName()) })
	var items []json.RawMessage
	for _, r := range all {
		data, err := protojson.Marshal(r)
		if err != nil {
			return p, nil, err
		}
		if f.admits(data) {
			items = append(items, data)
		}
	}
	start = min(start, len(items))
	end := min(start+size, len(items))
	if end < len(items) {
		p.NextPageToken = base64.URLEncoding.EncodeToString([]byte(strconv.Itoa(end)))
	}
	return p, items[start:end], nil
}

func bounds(maxResults, token string) (size, start int, err error) {
	size = maxPage
	if maxResults != "" {
		if size, err = strconv.Atoi(maxResults); err != nil || size < 0 || size > maxPage {
			return 0, 0, invalid("maxResults", maxResults, "Must be between 0 and 500, inclusive.")
		}
	}
	if size == 0 {
		size = maxPage
	}
	if token == "" {
		return size, 0, nil
	}
	text, err := base64.URLEncoding.DecodeString(token)
	if err == nil {
		start, err = strconv.Atoi(string(text))
	}
	if err != nil || start < 0 {
		return 0, 0, invalid("pageToken", token, "Invalid page token.")
	}
	return size, start, nil
}

// comparison is one of a filter's, such as labels.owner=mero-tee.
type comparison struct {
	field    []string
	operator string
	value    string
}

// filter is the part of the API's language that is served here: comparisons
// with =, != and :* (the field is there), all of which must hold.
type filter []comparison

var comparisonForm = regexp.MustCompile(`^\s*([A-Za-z][\w.-]*)\s*(=|!=|:)\s*(?:"([^"]*)"|'([^']*)'|([^\s()"']+))\s*`)

// parseFilter reads "a=b", `a = "b"`, "(a=b) (c!=d)" and "a=b AND c:*".
func parseFilter(text string) (filter, error) {
	var f filter
	refused := refuse(http.StatusBadRequest, "invalid", "Invalid list filter expression: %s", text)
	rest := strings.TrimSpace(text)
	for rest != "" {
		var open, closed, and bool
		rest, open = strings.CutPrefix(rest, "(")
		m := comparisonForm.FindStringSubmatch(rest)
		if m == nil || m[2] == ":" && m[5] != "*" {
			return nil, refused
		}
		f = append(f, comparison{strings.Split(m[1], "."), m[2], m[3] + m[4] + m[5]})
		rest, closed = strings.CutPrefix(rest[len(m[0]):], ")")
		if open != closed {
			return nil, refused
		}
		rest, and = strings.CutPrefix(strings.TrimSpace(rest), "AND ")
		rest = strings.TrimSpace(rest)
		if and && rest == "" || !and && !open && rest != "" {
			return nil, refused
		}
	}
	return f, nil
}

func (f filter) admits(data json.RawMessage) bool {
	var fields map[string]any
	if len(f) > 0 {
		_ = json.Unmarshal(data, &fields) // a resource is an object
	}
	return !slices.ContainsFunc(f, func(c comparison) bool { return !c.holds(fields) })
}

func (c comparison) holds(resource map[string]any) bool {
	var value any = resource
	for _, name := range c.field {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	if c.operator == ":" {
		return value != nil
	}
	equal := value != nil && fmt.Sprint(value) == c.value
	return equal == (c.operator == "=")
}

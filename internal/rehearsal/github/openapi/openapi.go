// Package openapi holds what GitHub's own description says of the requests that
// are made here, and of their answers.
//
// Its promise: a name, a type, a value or an absence that the description does
// not allow is found, at any depth, and said in one line.
package openapi

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

//go:embed description.json
var data []byte

// Description is the part of GitHub's that description.json records; its
// source says how it was made.
type Description struct {
	Source     string
	Operations map[string]operation // "GET /repos/{owner}/{repo}/tags"
	Schemas    map[string]*schema
}

type operation struct {
	Query        map[string]*schema
	Body         *schema // nil where there is none, or bytes
	BodyRequired bool
	Bytes        bool
	Answers      map[string]*schema // by status; one without a type has no body
}

type schema struct {
	Ref        string // the name of another one
	Type       string // as in JSON schema, or "any"
	Nullable   bool
	Enum       []string
	Items      *schema
	Required   []string
	Properties map[string]*schema
	Open       bool    // other properties are allowed
	Needed     bool    // of a query
	Or         *schema // what a list is instead
}

// Read reads the description that comes with this package.
func Read() (*Description, error) {
	d := &Description{}
	err := json.Unmarshal(data, d)
	return d, err
}

// find is the operation with the most literal path that fits.
func (d *Description) find(method, path string) (found operation, ok bool) {
	best := -1
	for name, op := range d.Operations {
		m, template, _ := strings.Cut(name, " ")
		if n := fits(template, path); m == method && n > best {
			found, best = op, n
		}
	}
	return found, best >= 0
}

// fits counts the segments of a template that a path has literally; -1 when it
// does not fit. {path} and {ref} may hold slashes, as the last of a template.
func fits(template, path string) int {
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	if last := want[len(want)-1]; (last == "{path}" || last == "{ref}") && len(got) > len(want) {
		got = got[:len(want)]
	}
	if len(want) != len(got) {
		return -1
	}
	literal := 0
	for i, w := range want {
		switch {
		case w == got[i]:
			literal++
		case !strings.HasPrefix(w, "{") || got[i] == "":
			return -1
		}
	}
	return literal
}

// Request lists what does not fit in a request with this body. One of no known
// operation, and a body that is no JSON, are left to others.
func (d *Description) Request(r *http.Request, body []byte) []string {
	op, known := d.find(r.Method, r.URL.Path)
	if !known {
		return nil
	}
	findings := d.query(op, r.URL.Query())
	if len(body) == 0 && op.BodyRequired {
		findings = append(findings, "there is no body")
	}
	var in any
	if op.Body == nil || json.Unmarshal(body, &in) != nil {
		return findings
	}
	return append(findings, d.check("", op.Body, in)...)
}

func (d *Description) query(op operation, sent url.Values) (findings []string) {
	for _, name := range slices.Sorted(maps.Keys(sent)) {
		s, known := op.Query[name]
		switch {
		case !known:
			findings = append(findings, "query "+name+" is not known")
		case s.Type == "integer":
			if _, err := strconv.Atoi(sent.Get(name)); err != nil {
				findings = append(findings, fmt.Sprintf("query %s: %q is not an integer", name, sent.Get(name)))
			}
		case s.Enum != nil && !slices.Contains(s.Enum, sent.Get(name)):
			findings = append(findings, fmt.Sprintf("query %s: %q is not one of %v", name, sent.Get(name), s.Enum))
		}
	}
	for name, s := range op.Query {
		if s.Needed && !sent.Has(name) {
			findings = append(findings, "query "+name+" is missing")
		}
	}
	return findings
}

// Answer lists what does not fit in an answer to a request. Refusals that the
// description does not list have the form of an error
// with details.
func (d *Description) Answer(r *http.Request, status int, body []byte) []string {
	op, known := d.find(r.Method, r.URL.Path)
	if !known {
		return nil
	}
	s, listed := op.Answers[strconv.Itoa(status)]
	if !listed {
		if status < http.StatusBadRequest {
			return []string{fmt.Sprintf("status %d is not described", status)}
		}
		s = &schema{Ref: "validation-error"}
	}
	if s.Type == "" && s.Ref == "" {
		return nil
	}
	var out any
	if err := json.Unmarshal(body, &out); err != nil {
		return []string{"no JSON: " + err.Error()}
	}
	return d.check("", s, out)
}

// check lists what of v does not fit; at is its place.
func (d *Description) check(at string, s *schema, v any) []string {
	if v == nil {
		if s.Nullable || s.Type == "any" || s.Ref != "" && d.Schemas[s.Ref].Nullable {
			return nil
		}
		return []string{place(at) + " is null"}
	}
	if list, isList := v.([]any); isList && s.Or != nil {
		return d.array(at, s.Or, list)
	}
	if s.Ref != "" {
		s = d.Schemas[s.Ref]
	}
	switch v := v.(type) {
	case map[string]any:
		if s.Type == "object" {
			return d.object(at, s, v)
		}
	case []any:
		if s.Type == "array" {
			return d.array(at, s, v)
		}
	default:
		if s.admits(v) {
			return nil
		}
	}
	if s.Type == "any" {
		return nil
	}
	return []string{fmt.Sprintf("%s: %v does not fit %s %v", place(at), v, s.Type, s.Enum)}
}

// admits is for what has no parts.
func (s *schema) admits(v any) bool {
	switch v := v.(type) {
	case string:
		return s.Type == "string" && (s.Enum == nil || slices.Contains(s.Enum, v))
	case bool:
		return s.Type == "boolean"
	case float64:
		return s.Type == "number" || s.Type == "integer" && v == float64(int64(v))
	}
	return false
}

func (d *Description) object(at string, s *schema, v map[string]any) (findings []string) {
	for _, name := range s.Required {
		if _, there := v[name]; !there {
			findings = append(findings, place(at+"."+name)+" is missing")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v)) {
		p, known := s.Properties[name]
		switch {
		case known:
			findings = append(findings, d.check(at+"."+name, p, v[name])...)
		case s.Properties != nil && !s.Open:
			findings = append(findings, place(at+"."+name)+" is not known")
		}
	}
	return findings
}

func (d *Description) array(at string, s *schema, v []any) (findings []string) {
	for i, item := range v {
		findings = append(findings, d.check(fmt.Sprintf("%s[%d]", at, i), s.Items, item)...)
	}
	return findings
}

func place(at string) string {
	if at = strings.TrimPrefix(at, "."); at != "" {
		return at
	}
	return "it"
}

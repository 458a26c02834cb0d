// Package discovery holds what Google's own description of compute/v1, its
// discovery document, says of the calls that a release makes, for tests.
//
// Its promise: a request with a path, a parameter or a field that the document
// does not have is found, and so is an answer; compute-v1.json has the facts of
// the document and none of its words, and a test compares it with the document of
// the module that this repository builds with. It is made anew by
//
//	go test ./internal/rehearsal/gce/discovery -update
package discovery

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
)

//go:embed compute-v1.json
var facts []byte

// Document is a part of the discovery document.
type Document struct {
	Revision   string            `json:"revision"`
	Parameters map[string]Schema `json:"parameters"`
	Methods    map[string]Method `json:"methods"` // by name, such as instances.insert
	Schemas    map[string]Schema `json:"schemas"`
}

// Method is one call.
type Method struct {
	HTTPMethod string            `json:"httpMethod"`
	Path       string            `json:"path"`
	Parameters map[string]Schema `json:"parameters,omitempty"`
	Request    *Schema           `json:"request,omitempty"`
	Response   *Schema           `json:"response,omitempty"`
}

// Schema is the form of a value.
type Schema struct {
	Ref                  string            `json:"$ref,omitempty"`
	Type                 string            `json:"type,omitempty"`
	Format               string            `json:"format,omitempty"`
	Pattern              string            `json:"pattern,omitempty"`
	Location             string            `json:"location,omitempty"`
	Required             bool              `json:"required,omitempty"`
	Enum                 []string          `json:"enum,omitempty"`
	Properties           map[string]Schema `json:"properties,omitempty"`
	Items                *Schema           `json:"items,omitempty"`
	AdditionalProperties *Schema           `json:"additionalProperties,omitempty"`
}

// Compute is the part of compute/v1 that a release calls.
var Compute = sync.OnceValues(func() (*Document, error) {
	d := &Document{}
	return d, json.Unmarshal(facts, d)
})

// CheckRequest names the method that a request calls and says what the document forbids of it.
func (d *Document) CheckRequest(r *http.Request, body []byte) (name string, err error) {
	name, named, ok := d.find(r)
	if !ok {
		return "", fmt.Errorf("%s %s is no method", r.Method, r.URL.Path)
	}
	m := d.Methods[name]
	for parameter, value := range named {
		if err := scalarFits(m.Parameters[parameter], value, parameter); err != nil {
			return name, err
		}
	}
	for parameter := range r.URL.Query() {
		if m.Parameters[parameter].Location != "query" && d.Parameters[parameter].Location != "query" {
			return name, fmt.Errorf("%s has no parameter %s", name, parameter)
		}
	}
	for parameter, schema := range m.Parameters {
		if schema.Required && schema.Location == "query" && !r.URL.Query().Has(parameter) {
			return name, fmt.Errorf("%s lacks parameter %s", name, parameter)
		}
	}
	if m.Request == nil {
		return name, nil
	}
	return name, d.bodyFits(*m.Request, body, name)
}

// CheckAnswer says where the body of a successful answer leaves its schema.
func (d *Document) CheckAnswer(method string, body []byte) error {
	m, ok := d.Methods[method]
	if !ok || m.Response == nil {
		return fmt.Errorf("%s is no method with an answer", method)
	}
	return d.bodyFits(*m.Response, body, method)
}

// CheckError says how a refusal differs from the form in which all of the API's are.
func CheckError(status int, body []byte) error {
	var out struct {
		Error struct {
			Code    int
			Message string
			Errors  []struct{ Message, Domain, Reason string }
		}
	}
	dec := json.NewDecoder(strings.NewReader(string(body)))
	dec.DisallowUnknownFields()
	err := dec.Decode(&out)
	if err != nil || out.Error.Code != status || len(out.Error.Errors) != 1 || out.Error.Errors[0].Reason == "" {
		return fmt.Errorf("not an error of the API: %d %.200s", status, body)
	}
	return nil
}

func (d *Document) bodyFits(s Schema, body []byte, at string) error {
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		return fmt.Errorf("%s: %w", at, err)
	}
	return d.Fits(s, v, at)
}

// Fits says where a JSON value leaves its schema; at is where it stands.
func (d *Document) Fits(s Schema, v any, at string) error {
	if s.Ref != "" {
		known, ok := d.Schemas[s.Ref]
		if !ok {
			return fmt.Errorf("%s: no schema %s", at, s.Ref)
		}
		s = known
	}
	switch v := v.(type) {
	case nil:
		return nil
	case map[string]any:
		return d.objectFits(s, v, at)
	case []any:
		if s.Type != "array" {
			return fmt.Errorf("%s is a list", at)
		}
		for i, item := range v {
			if err := d.Fits(*s.Items, item, fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return err
			}
		}
		return nil
	}
	return scalarFits(s, v, at)
}

func (d *Document) objectFits(s Schema, v map[string]any, at string) error {
	if s.Type != "object" {
		return fmt.Errorf("%s is an object", at)
	}
	for key, value := range v {
		p, ok := s.Properties[key]
		if !ok && s.AdditionalProperties != nil {
			p, ok = *s.AdditionalProperties, true
		}
		if !ok {
			return fmt.Errorf("%s.%s is unknown", at, key)
		}
		if err := d.Fits(p, value, at+"."+key); err != nil {
			return err
		}
	}
	return nil
}

var digits = regexp.MustCompile(`^-?[0-9]+$`)

func scalarFits(s Schema, v any, at string) error {
	ok := false
	switch v := v.(type) {
	case string:
		ok = s.Type == "string" && (s.Enum == nil || slices.Contains(s.Enum, v))
		if s.Format == "int64" || s.Format == "uint64" {
			ok = ok && digits.MatchString(v)
		}
		if s.Pattern != "" {
			ok = ok && regexp.MustCompile("^(?:"+s.Pattern+")$").MatchString(v)
		}
	case float64:
		ok = s.Type == "integer" && v == float64(int64(v)) || s.Type == "number"
	case bool:
		ok = s.Type == "boolean"
	}
	if !ok {
		return fmt.Errorf("%s: %v does not fit %+v", at, v, s)
	}
	return nil
}

// find gives the method that a request calls, with its path's parameters. Where
// two fit, the one with fewer parameters is meant.
func (d *Document) find(r *http.Request) (best string, named map[string]string, ok bool) {
	path, ours := strings.CutPrefix(r.URL.Path, "/compute/v1/")
	parts := strings.Split(path, "/")
	for name, m := range d.Methods {
		values, fits := match(m.Path, parts)
		if ours && fits && m.HTTPMethod == r.Method && (named == nil || len(values) < len(named)) {
			best, named = name, values
		}
	}
	return best, named, named != nil
}

func match(pattern string, parts []string) (map[string]string, bool) {
	want := strings.Split(pattern, "/")
	values := map[string]string{}
	if len(want) != len(parts) {
		return nil, false
	}
	for i, w := range want {
		if name, ok := strings.CutPrefix(w, "{"); ok {
			values[strings.TrimSuffix(name, "}")] = parts[i]
		} else if w != parts[i] {
			return nil, false
		}
	}
	return values, true
}

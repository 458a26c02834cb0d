package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
)

// Decode reads a request's body: one JSON object of v's fields, each a string or
// a boolean and at most once, spelled exactly so, and nothing after it; an
// optional string is not written empty. One that is missing is the caller's to
// judge. A field that is not v's is refused: it may ask for more protection than
// a service knows of, as sealToB64 once did. It goes over the body once: on the
// way to a key, reading it by canonical.Unmarshal cost as much as all
// cryptography (2026-11-23).
// V points to one of the request types, which have strings and booleans alone.
func Decode(data []byte, v any) error {
	if err := canonical.Unicode(data); err != nil {
		return err
	}
	fields := fieldsOf(reflect.ValueOf(v).Elem())
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return orElse(err, "the body is not a JSON object")
	}
	for dec.More() {
		if err := fields.read(dec); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return orElse(err, "")
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("data after the end of the JSON value, at byte %d", dec.InputOffset())
	}
	return nil
}

// orElse is err, or what is said when there is none.
func orElse(err error, otherwise string) error {
	switch {
	case errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	case err != nil:
		return err
	}
	return errors.New(otherwise)
}

type field struct {
	value          reflect.Value
	optional, seen bool
}

type fields map[string]*field

func fieldsOf(v reflect.Value) fields {
	out := make(fields, v.NumField())
	for i := range v.NumField() {
		name, options, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		out[name] = &field{value: v.Field(i), optional: options == "omitempty"}
	}
	return out
}

// read takes the next key and its value.
func (all fields) read(dec *json.Decoder) error {
	t, err := dec.Token()
	if err != nil {
		return orElse(err, "")
	}
	key, _ := t.(string)
	f := all[key]
	switch {
	case f == nil:
		return fmt.Errorf("field %.40q is unknown", key)
	case f.seen:
		return fmt.Errorf("field %q appears twice", key)
	}
	if t, err = dec.Token(); err != nil {
		return orElse(err, "")
	}
	f.seen = true
	return f.set(key, t)
}

func (f *field) set(key string, t json.Token) error {
	if f.value.Kind() == reflect.Bool {
		yes, ok := t.(bool)
		if !ok {
			return fmt.Errorf("field %q is neither true nor false", key)
		}
		f.value.SetBool(yes)
		return nil
	}
	text, ok := t.(string)
	if !ok || (f.optional && text == "") {
		return fmt.Errorf("field %q is not a string, or optional and empty", key)
	}
	f.value.SetString(text)
	return nil
}

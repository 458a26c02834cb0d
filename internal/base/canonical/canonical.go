// Package canonical reads and writes this project's own JSON files.
//
// Its promise: the same value gives the same bytes (UTF-8, two-space indent,
// keys in the order of the Go struct, newline at the end, no HTML escaping),
// and a file that says anything the struct does not know, says something twice
// or goes on after its end is refused.
package canonical

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// MaxSize bounds every JSON file of ours that comes from outside, in bytes.
const MaxSize = 4 << 20

// Marshal renders v in the canonical form.
func Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// Unmarshal reads data into v and refuses unknown fields, keys in another case
// than the struct's, duplicate keys, optional fields that are written but
// empty, fields that are missing and not optional, text that is not Unicode,
// trailing data and input larger than MaxSize.
func Unmarshal(data []byte, v any) error {
	if err := decode(data, v); err != nil {
		return err
	}
	return exact(data, v)
}

// decode is Unmarshal without the comparison of keys.
func decode(data []byte, v any) error {
	if err := Check(data); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}

// Check refuses what Unmarshal refuses of any JSON, whoever's it is: duplicate
// keys, text that is not Unicode, trailing data, and input larger than MaxSize.
func Check(data []byte) error { return CheckUpTo(data, MaxSize) }

// CheckUpTo is Check of files that may have another size, in bytes.
func CheckUpTo(data []byte, size int) error {
	if len(data) > size {
		return fmt.Errorf("%d bytes of JSON, more than the %d allowed", len(data), size)
	}
	if err := unique(data); err != nil {
		return err
	}
	return Unicode(data)
}

// unique walks the token stream once and refuses a key that an object holds twice.
func unique(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := value(dec, 0); err != nil {
		return err
	}
	return end(dec)
}

func end(dec *json.Decoder) error {
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("data after the end of the JSON value, at byte %d", dec.InputOffset())
	}
	return nil
}

const maxDepth = 64

func value(dec *json.Decoder, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("JSON nested deeper than %d levels", maxDepth)
	}
	tok, err := dec.Token()
	if err != nil {
		return err
	}
	switch tok {
	case json.Delim('{'):
		return object(dec, depth)
	case json.Delim('['):
		for dec.More() {
			if err := value(dec, depth+1); err != nil {
				return err
			}
		}
		_, err = dec.Token()
		return err
	}
	return nil
}

func object(dec *json.Decoder, depth int) error {
	seen := map[string]bool{}
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return err
		}
		key, ok := tok.(string)
		if !ok {
			return fmt.Errorf("object key %v is not a string", tok)
		}
		if seen[key] {
			return fmt.Errorf("key %q appears twice, at byte %d", key, dec.InputOffset())
		}
		seen[key] = true
		if err := value(dec, depth+1); err != nil {
			return err
		}
	}
	_, err := dec.Token()
	return err
}

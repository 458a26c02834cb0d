package canonical

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// UnmarshalExact is Unmarshal plus: encoding v again gives data, byte for byte.
func UnmarshalExact(data []byte, v any) error {
	if err := decode(data, v); err != nil {
		return err
	}
	again, err := Marshal(v)
	if err != nil {
		return err
	}
	if !bytes.Equal(again, data) { // of the same bytes the keys need no comparison
		if err := exact(data, v); err != nil {
			return err
		}
		return fmt.Errorf("not in canonical form, first at byte %d", firstDifference(again, data))
	}
	return nil
}

func firstDifference(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// exact refuses what encoding/json forgives: it takes "Name" for "name", so
// that another reader of the same bytes could see another value, and a field
// that is not there for its zero. The keys of the input must be those that v
// writes again.
func exact(data []byte, v any) error {
	again, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var in, out any
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	if err := json.Unmarshal(again, &out); err != nil {
		return err
	}
	return same(in, out)
}

// same compares keys only; a value that v writes in another form (a number,
// a time) was judged by its own type.
func same(in, out any) error {
	switch in := in.(type) {
	case map[string]any:
		written, ok := out.(map[string]any)
		if !ok {
			return nil
		}
		for key, value := range in {
			other, ok := written[key]
			if !ok {
				return fmt.Errorf("key %q is unknown, or empty and not to be written", key)
			}
			if err := same(value, other); err != nil {
				return err
			}
		}
		for key := range written {
			if _, ok := in[key]; !ok {
				return fmt.Errorf("key %q is missing", key)
			}
		}
	case []any:
		written, ok := out.([]any)
		if !ok || len(written) != len(in) {
			return nil
		}
		for i := range in {
			if err := same(in[i], written[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

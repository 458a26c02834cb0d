package inspection

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// registers judges every register wherever it stands, so that a malformed one
// is named with its place even where nothing else of the file can be read.
func registers(data []byte) error {
	var content any
	if len(data) > canonical.MaxSize || json.Unmarshal(data, &content) != nil {
		return &fault.Error{Code: fault.Verification, Message: "no JSON in which to look for registers"}
	}
	return walk("", content)
}

func walk(at string, v any) error {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if err := member(at+"."+key, key, v[key]); err != nil {
				return err
			}
		}
	case []any:
		for i, e := range v {
			if err := walk(fmt.Sprintf("%s[%d]", at, i), e); err != nil {
				return err
			}
		}
	}
	return nil
}

// member judges the values of a key that is named after a register, and looks below any other.
func member(at, key string, v any) error {
	names := tdx.RegisterNames()
	if !slices.Contains(names[:], strings.TrimPrefix(key, "allowed_")) {
		return walk(at, v)
	}
	list, isList := v.([]any)
	if !isList {
		return register(at, v)
	}
	for i, e := range list {
		if err := register(fmt.Sprintf("%s[%d]", at, i), e); err != nil {
			return err
		}
	}
	return nil
}

func register(at string, v any) error {
	text, _ := v.(string)
	r, err := tdx.ParseRegister(text)
	if err == nil && r.IsZero() {
		err = fmt.Errorf("a register that nothing was measured into identifies nothing")
	}
	if err != nil {
		return &fault.Error{Code: fault.Verification, Message: strings.TrimPrefix(at, "."), Err: err, Expected: "96 lower-case hex digits, not all zero", Got: fmt.Sprintf("%.110q", fmt.Sprint(v))}
	}
	return nil
}

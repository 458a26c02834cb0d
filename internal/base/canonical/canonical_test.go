package canonical_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
)

type doc struct {
	Name  string         `json:"name"`
	Count int            `json:"count"`
	Sub   map[string]int `json:"sub,omitempty"`
}

func TestMarshal(t *testing.T) {
	t.Parallel()
	b, err := canonical.Marshal(doc{Name: "<a&b>", Count: 1, Sub: map[string]int{"z": 1, "a": 2}})
	require.NoError(t, err)
	require.Equal(t, "{\n  \"name\": \"<a&b>\",\n  \"count\": 1,\n  \"sub\": {\n    \"a\": 2,\n    \"z\": 1\n  }\n}\n",
		string(b))
	var back doc
	require.NoError(t, canonical.Unmarshal(b, &back))
	require.Equal(t, "<a&b>", back.Name)
}

func TestUnmarshalRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ in, want string }{
		"unknown field":    {`{"name":"a","colour":"red"}`, "colour"},
		"duplicate key":    {`{"name":"a","name":"b"}`, `"name" appears twice`},
		"nested duplicate": {`{"sub":{"a":1,"a":2}}`, `"a" appears twice`},
		"other case":       {`{"Name":"a"}`, `"Name" is unknown`},
		"two spellings":    {`{"name":"a","NAME":"b"}`, `"NAME" is unknown`},
		"written empty":    {`{"name":"a","sub":{}}`, `"sub" is unknown, or empty`},
		"trailing value":   {`{"name":"a"} {}`, "data after the end"},
		"trailing text":    {`{"name":"a"}x`, "data after the end"},
		"truncated":        {`{"name":"a"`, "EOF"},
		"empty":            {``, "EOF"},
		"too deep":         {strings.Repeat("[", 80) + strings.Repeat("]", 80), "deeper"},
		"too large":        {`"` + strings.Repeat("a", canonical.MaxSize) + `"`, "more than"},
		"wrong type":       {`{"count":"x"}`, "count"},
		"a field missing":  {`{"name":"a"}`, `"count" is missing`},
		"not UTF-8":        {"{\"name\":\"a\xff\",\"count\":1}", "not UTF-8"},
		"half a pair":      {`{"name":"\ud800","count":1}`, "half of a surrogate pair, at byte 9"},
		"the other half":   {`{"name":"a\udc00\ud800","count":1}`, "half of a surrogate pair"},
		"two first halves": {`{"name":"\ud83d\ud83d\ude00","count":1}`, "half of a surrogate pair"},
		"half and escape":  {`{"name":"\ud800\n","count":1}`, "half of a surrogate pair"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ErrorContains(t, canonical.Unmarshal([]byte(tc.in), &doc{}), tc.want)
		})
	}
}

// What is nobody's struct is held to what holds of any JSON.
func TestCheck(t *testing.T) {
	t.Parallel()
	require.NoError(t, canonical.Check([]byte(`{"Name":"a","colour":["red",{"of":null}]}`)))
	for in, want := range map[string]string{`{"sub":{"a":1,"a":2}}`: `"a" appears twice`, `{} {}`: "data after the end",
		`{"a":"\ud800"}`: "half of a surrogate pair", `"` + strings.Repeat("a", canonical.MaxSize) + `"`: "more than"} {
		require.ErrorContains(t, canonical.Check([]byte(in)), want)
	}
}

func TestEscapedText(t *testing.T) {
	t.Parallel()
	var d doc
	require.NoError(t, canonical.Unmarshal([]byte(`{"name":"\ud83d\ude00 \\ud800 \u00e9\ufffd","count":1}`), &d))
	require.Equal(t, "😀 \\ud800 é\ufffd", d.Name)
}

func FuzzUnmarshal(f *testing.F) {
	f.Add([]byte(`{"name":"a","count":1,"sub":{"x":1}}`))
	f.Add([]byte(`{"sub":{"a":1,"a":2}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		var d doc
		if canonical.Unmarshal(in, &d) != nil {
			return
		}
		b, err := canonical.Marshal(d)
		require.NoError(t, err)
		var again doc
		require.NoError(t, canonical.Unmarshal(b, &again))
		require.Equal(t, d, again)
	})
}

package dstack_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// A list of another shape, or without an end, is never "there is nothing".
func TestNamesOfCVMs(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		answer string
		names  []string
		code   fault.Code
		want   string // in the error
	}{
		"two":            {`{"items":[{"name":"a"},{"name":"b"}],"pages":1}`, []string{"a", "b"}, 0, ""},
		"none":           {`{"items":[],"pages":0}`, nil, 0, ""},
		"no list":        {`{"data":[]}`, nil, fault.Verification, "list of CVMs"},
		"no pages":       {`{"items":[]}`, nil, fault.Verification, "list of CVMs"},
		"null":           {`{"items":null,"pages":1}`, nil, fault.Verification, "list of CVMs"},
		"without a name": {`{"items":[{"hosted":{"name":"a"}}],"pages":1}`, nil, fault.Verification, "list of CVMs"},
		"without an end": {`{"items":[{"name":"a"}],"pages":9999}`, nil, fault.General, "has no end"},
		"no JSON":        {`<html>`, nil, fault.General, "not the JSON expected"},
		"refused":        {`403 {"detail":"no"}`, nil, fault.Usage, "403"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := serve(t, &provider{answers: map[string]string{"GET /api/cvms/paginated": tc.answer}})
			names, err := c.Names(t.Context())
			require.Equal(t, fmt.Sprint(tc.code), fmt.Sprint(fault.CodeOf(err)), "%v", err)
			require.Equal(t, tc.names, names)
			if tc.want != "" {
				require.ErrorContains(t, err, tc.want)
			}
		})
	}
}

package dstack_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/dstack"
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

// A list that times out in long pages is read again in shorter ones, and nothing comes twice.
func TestNamesInShorterPages(t *testing.T) {
	t.Parallel()
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		asked = append(asked, query.Get("page_size")+"/"+query.Get("page"))
		switch {
		case query.Get("page_size") == "100" && query.Get("page") == "2":
			w.WriteHeader(http.StatusGatewayTimeout)
		case query.Get("page_size") == "100":
			_, _ = io.WriteString(w, `{"items":[{"name":"a"},{"name":"b"}],"pages":2}`)
		default:
			_, _ = io.WriteString(w, `{"items":[{"name":"`+string('a'+rune(len(asked)%2))+`"}],"pages":2}`)
		}
	}))
	t.Cleanup(server.Close)
	c := dstack.New(server.URL, "key", http.DefaultTransport)
	c.Wait = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	names, err := c.Names(t.Context())
	require.NoError(t, err)
	require.Len(t, names, 2)
	require.NotEqual(t, names[0], names[1])
	require.Equal(t, []string{"100/1", "100/2", "100/2", "100/2", "100/2", "30/1", "30/2"}, asked)
}

// A long page that breaks off, or never comes, is read again in shorter ones, too.
func TestNamesOfALongPageThatBreaksOff(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"no answer": "", "half an answer": `{"items":[`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Query().Get("page_size") == "10" {
					_, _ = io.WriteString(w, `{"items":[{"name":"a"}],"pages":1}`)
					return
				}
				if body != "" {
					w.Header().Set("Content-Length", "100")
					_, _ = io.WriteString(w, body)
				}
				panic(http.ErrAbortHandler)
			}))
			t.Cleanup(server.Close)
			c := dstack.New(server.URL, "key", http.DefaultTransport)
			c.Wait = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
			names, err := c.Names(t.Context())
			require.NoError(t, err)
			require.Equal(t, []string{"a"}, names)
		})
	}
}

// A provider that fails at every page is asked for each size, and then it is an error.
func TestNamesThatCannotBeHad(t *testing.T) {
	t.Parallel()
	c := serve(t, &provider{answers: map[string]string{"GET /api/cvms/paginated": `503 {"detail":"no"}`}})
	_, err := c.Names(t.Context())
	require.ErrorContains(t, err, "503")
}

package dstack

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// ComposeFile is the app-compose file that the provider stored for a CVM.
func (c *Client) ComposeFile(ctx context.Context, id string) (json.RawMessage, error) {
	var out json.RawMessage
	err := c.call(ctx, http.MethodGet, "/cvms/"+url.PathEscape(id)+"/compose_file", nil, &out)
	return out, err
}

// unchanged compares what the provider stored, and said that it would store,
// with what was handed in.
func (c *Client) unchanged(ctx context.Context, app App, d *Deployment, provisioned string) error {
	file, err := c.ComposeFile(ctx, d.ID)
	if err != nil {
		return err
	}
	ours, theirs := fieldsOf(app.Compose), fieldsOf(file)
	if provisioned == d.ComposeHash && reflect.DeepEqual(ours, theirs) {
		return nil
	}
	return &fault.Error{Code: fault.Verification,
		Message:  "the provider runs another app-compose than the released one",
		Expected: "compose hash " + d.ComposeHash + " (ours)",
		Got: fmt.Sprintf("compose hash %s (the provider's), %s (measured), %s (of what is stored: %s)", provisioned,
			cmp.Or(c.measured(ctx, d.ID), "not known"), normal(file).Hex(), difference(ours, theirs)),
		Hint: "a field that the provider adds belongs into compose.App, spelled out, so that it is stored as it is"}
}

// measured is the compose hash in the machine's event log, as the provider hands
// it on; empty when it hands none on.
func (c *Client) measured(ctx context.Context, id string) string {
	var out struct {
		TCB struct {
			EventLog []struct {
				Event   string `json:"event"`
				Payload string `json:"event_payload"`
			} `json:"event_log"`
		} `json:"tcb_info"`
	}
	if c.call(ctx, http.MethodGet, "/cvms/"+url.PathEscape(id)+"/attestation", nil, &out) != nil {
		return ""
	}
	for _, e := range out.TCB.EventLog {
		if e.Event == "compose-hash" {
			return e.Payload
		}
	}
	return ""
}

// fieldsOf is an app-compose file, field by field; empty when it is no object.
func fieldsOf(file json.RawMessage) map[string]any {
	d := json.NewDecoder(bytes.NewReader(file))
	d.UseNumber()
	out := map[string]any{}
	if d.Decode(&out) != nil {
		return map[string]any{}
	}
	return out
}

// normal is the hash of a file in dstack's form: keys sorted, no white space.
func normal(file json.RawMessage) digest.Digest {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(fieldsOf(file)) != nil {
		return digest.Digest{}
	}
	return digest.Of(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

// difference names the fields that came, went and changed.
func difference(ours, theirs map[string]any) string {
	var out []string
	for _, side := range []struct {
		word     string
		of, base map[string]any
	}{{"added", theirs, ours}, {"lost", ours, theirs}} {
		var names []string
		for _, name := range slices.Sorted(maps.Keys(side.of)) {
			if _, there := side.base[name]; !there {
				names = append(names, name)
			}
		}
		if len(names) > 0 {
			out = append(out, side.word+" "+strings.Join(names, ", "))
		}
	}
	var changed []string
	for _, name := range slices.Sorted(maps.Keys(ours)) {
		if other, there := theirs[name]; there && !reflect.DeepEqual(ours[name], other) {
			changed = append(changed, name)
		}
	}
	if len(changed) > 0 {
		out = append(out, "changed "+strings.Join(changed, ", "))
	}
	return cmp.Or(strings.Join(out, "; "), "the same fields, hashed in another form")
}

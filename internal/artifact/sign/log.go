package sign

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"

	httptransport "github.com/go-openapi/runtime/client"
	"github.com/go-openapi/strfmt"
	rekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	tiles "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"github.com/sigstore/rekor/pkg/generated/client/entries"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"google.golang.org/protobuf/encoding/protojson"
)

// newLog is a log's client. sign.Rekor makes its own when it gets none, over a
// transport that cannot be given, and caches it without a lock: one per bundle.
func newLog(s root.Service, transport http.RoundTripper) (sign.Transparency, error) {
	u, err := url.Parse(s.URL)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: transport}
	o := &sign.RekorOptions{BaseURL: s.URL, Version: s.MajorAPIVersion, Timeout: -1}
	if s.MajorAPIVersion == 1 {
		o.Client = entries.New(httptransport.NewWithClient(u.Host, u.Path, []string{u.Scheme}, client), strfmt.Default)
	} else {
		o.ClientV2 = tilesClient{endpoint: u.JoinPath("/api/v2/log/entries").String(), client: client}
	}
	return sign.NewRekor(o), nil
}

// tilesClient adds entries to a Rekor v2 log.
type tilesClient struct {
	endpoint string
	client   *http.Client
}

// Add implements sign.RekorV2Client.
func (c tilesClient) Add(ctx context.Context, entry any) (*rekor.TransparencyLogEntry, error) {
	record, ok := entry.(*tiles.HashedRekordRequestV002)
	if !ok {
		return nil, fmt.Errorf("a Rekor v2 log takes no %T", entry)
	}
	body, err := protojson.Marshal(&tiles.CreateEntryRequest{
		Spec: &tiles.CreateEntryRequest_HashedRekordRequestV002{HashedRekordRequestV002: record}})
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := c.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusCreated {
		return nil, fmt.Errorf("status %d: %.200s", response.StatusCode, answer)
	}
	out := &rekor.TransparencyLogEntry{}
	return out, protojson.Unmarshal(answer, out)
}

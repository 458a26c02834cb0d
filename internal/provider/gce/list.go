package gce

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/api/googleapi"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// Lists are read without the iterators of cloud.google.com/go/compute v1.75.0,
// which send their requests without the context, and read on over empty pages
// without a bound.

const maxPages = 1000

// page is one answer to a listing.
type page struct {
	found   []Resource
	next    string
	unknown []string // zones that did not answer
}

// everyPage reads page by page, each with its own repetitions.
func (c *Client) everyPage(ctx context.Context, kind Kind, filter string) (out []Resource, err error) {
	doing := "listing every " + string(kind)
	token := ""
	for range maxPages {
		var p *page
		err := c.call(ctx, doing, func(ctx context.Context) (err error) {
			p, err = c.page(ctx, kind, filter, token)
			return err
		})
		if err != nil {
			return out, err
		}
		out = append(out, p.found...)
		if len(p.unknown) > 0 {
			return out, &fault.Error{Code: fault.General, Message: "gce: " + doing + ": not every zone answered",
				Got: strings.Join(p.unknown, ", ")}
		}
		if p.next == "" {
			return out, nil
		}
		token = p.next
	}
	return out, &fault.Error{Code: fault.General, Message: "gce: " + doing + ": it has no end"}
}

func (c *Client) page(ctx context.Context, kind Kind, filter, token string) (*page, error) {
	switch kind {
	case Instances:
		var answer computepb.InstanceAggregatedList
		err := c.list(ctx, c.project, "aggregated/instances", filter, token, &answer)
		p := &page{next: answer.GetNextPageToken(), unknown: answer.GetUnreachables()}
		for scope, list := range answer.Items {
			p.warned(scope, list.GetWarning())
			for _, i := range list.Instances {
				p.found = append(p.found, resource(Instances, scope, i.GetName(), i.Labels))
			}
		}
		return p, err
	case Disks:
		var answer computepb.DiskAggregatedList
		err := c.list(ctx, c.project, "aggregated/disks", filter, token, &answer)
		p := &page{next: answer.GetNextPageToken(), unknown: answer.GetUnreachables()}
		for scope, list := range answer.Items {
			p.warned(scope, list.GetWarning())
			for _, d := range list.Disks {
				p.found = append(p.found, diskResource(scope, d.GetName(), d.GetCreationTimestamp(), d.Labels))
			}
		}
		return p, err
	}
	var answer computepb.ImageList
	err := c.list(ctx, c.project, "global/images", filter, token, &answer)
	p := &page{next: answer.GetNextPageToken()}
	for _, i := range answer.Items {
		p.found = append(p.found, resource(Images, "", i.GetName(), i.Labels))
	}
	return p, err
}

// warned notes a zone that did not answer; an empty zone warns too.
func (p *page) warned(scope string, warning *computepb.Warning) {
	if warning.GetCode() == computepb.Warning_UNREACHABLE.String() {
		p.unknown = append(p.unknown, scope)
	}
}

// list reads one page of a collection of a project.
func (c *Client) list(ctx context.Context, project, collection, filter, token string, into proto.Message) error {
	query := url.Values{"filter": {filter}, "pageToken": {token}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet,
		"https://compute.googleapis.com/compute/v1/projects/"+project+"/"+collection+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	answer, err := c.lists.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if err := googleapi.CheckResponse(answer); err != nil {
		return err
	}
	data, err := io.ReadAll(answer.Body) // the transport bounds it
	if err != nil {
		return err
	}
	return protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(data, into)
}

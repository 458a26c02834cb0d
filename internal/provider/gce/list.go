package gce

import (
	"context"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// Lists are read through google.golang.org/api: the iterators of
// cloud.google.com/go/compute v1.75.0 send their requests without the context,
// and read on over empty pages without a bound.

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
			return out, &fault.Error{Code: fault.General, Message: "gce: " + doing + ": not every zone answered", Got: strings.Join(p.unknown, ", ")}
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
		return c.pageOfInstances(ctx, filter, token)
	case Disks:
		return c.pageOfDisks(ctx, filter, token)
	}
	return c.pageOfImages(ctx, filter, token)
}

func (c *Client) pageOfInstances(ctx context.Context, filter, token string) (*page, error) {
	answer, err := c.lists.Instances.AggregatedList(c.project).Filter(filter).PageToken(token).Context(ctx).Do()
	if err != nil {
		return nil, err
	}
	p := &page{next: answer.NextPageToken, unknown: answer.Unreachables}
	for scope, list := range answer.Items {
		if list.Warning != nil && list.Warning.Code == unreachable {
			p.unknown = append(p.unknown, scope)
		}
		for _, i := range list.Instances {
			p.found = append(p.found, resource(Instances, scope, i.Name, i.Labels))
		}
	}
	return p, nil
}

// unreachable is the warning of a zone that did not answer; an empty zone warns too.
const unreachable = "UNREACHABLE"

func (c *Client) pageOfDisks(ctx context.Context, filter, token string) (*page, error) {
	answer, err := c.lists.Disks.AggregatedList(c.project).Filter(filter).PageToken(token).Context(ctx).Do()
	if err != nil {
		return nil, err
	}
	p := &page{next: answer.NextPageToken, unknown: answer.Unreachables}
	for scope, list := range answer.Items {
		if list.Warning != nil && list.Warning.Code == unreachable {
			p.unknown = append(p.unknown, scope)
		}
		for _, d := range list.Disks {
			p.found = append(p.found, diskResource(scope, d.Name, d.CreationTimestamp, d.Labels))
		}
	}
	return p, nil
}

func (c *Client) pageOfImages(ctx context.Context, filter, token string) (*page, error) {
	answer, err := c.lists.Images.List(c.project).Filter(filter).PageToken(token).Context(ctx).Do()
	if err != nil {
		return nil, err
	}
	p := &page{next: answer.NextPageToken}
	for _, i := range answer.Items {
		p.found = append(p.found, resource(Images, "", i.Name, i.Labels))
	}
	return p, nil
}

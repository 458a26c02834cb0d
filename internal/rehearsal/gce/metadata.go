package gce

import (
	"context"
	"net/http"
	"slices"
	"strings"

	compute "google.golang.org/api/compute/v1"
)

func (s *Server) setMetadata(q request) (any, error) {
	in, err := s.find(q)
	if err != nil {
		return nil, err
	}
	var metadata compute.Metadata
	if err := q.decode(&metadata); err != nil {
		return nil, err
	}
	if metadata.Fingerprint != in.resource.Metadata.Fingerprint {
		return nil, refuse(http.StatusPreconditionFailed, "conditionNotMet", "Supplied fingerprint does not match current metadata fingerprint.")
	}
	if err := checkMetadata(&metadata); err != nil {
		return nil, err
	}
	metadata.Kind, metadata.Fingerprint = "compute#metadata", fingerprint(metadata.Items)
	work := func() error {
		if s.instances[in.resource.Name] != in {
			return s.known("RESOURCE_NOT_FOUND", in.resource.SelfLink)
		}
		in.resource.Metadata = &metadata
		return s.saveInstance(in)
	}
	return s.begin(q, pathOf(in.resource.SelfLink), in.resource.Id, job{do: func(context.Context) error { return s.locked(work) }}).resource, nil
}

// getGuestAttributes answers a namespace ("mero/"), a key ("mero/report") or, for
// an empty path, everything; 404 until something was written there.
func (s *Server) getGuestAttributes(q request) (any, error) {
	in, err := s.find(q)
	if err != nil {
		return nil, err
	}
	if !guestAttributesOn(in.resource.Metadata) {
		return nil, refuse(http.StatusForbidden, "forbidden", "Guest attributes endpoint access is disabled.")
	}
	path := q.URL.Query().Get("queryPath")
	var items []*compute.GuestAttributesEntry
	for name, value := range in.attributes {
		namespace, key, _ := strings.Cut(name, "/")
		if s.faults.Reads != Absent && (path == "" || path == name || path == namespace || path == namespace+"/") {
			items = append(items, &compute.GuestAttributesEntry{Namespace: namespace, Key: key, Value: s.faults.distort(value)})
		}
	}
	if len(items) == 0 {
		return nil, refuse(http.StatusNotFound, "notFound", "The resource '%s' of type 'Guest Attribute' was not found.", path)
	}
	slices.SortFunc(items, func(a, b *compute.GuestAttributesEntry) int {
		return strings.Compare(a.Namespace+"/"+a.Key, b.Namespace+"/"+b.Key)
	})
	return &compute.GuestAttributes{Kind: "compute#guestAttributes", QueryPath: path, SelfLink: root + pathOf(q.URL.Path),
		QueryValue: &compute.GuestAttributesValue{Items: items}}, nil
}

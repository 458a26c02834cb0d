package gce

import (
	"errors"
	"fmt"
	"net/http"
)

// failed is the error of an operation.
type failed struct {
	status        int
	code, message string
}

func (f *failed) Error() string { return f.message }

// asFailed takes what the rehearsal itself could not do as an internal error.
func asFailed(err error) *failed {
	var f *failed
	if errors.As(err, &f) {
		return f
	}
	return &failed{http.StatusInternalServerError, "INTERNAL_ERROR", err.Error()}
}

// known is the error that the vendor gives with a code.
func (s *Server) known(code, target string) *failed {
	path := pathOf(target)
	f := &failed{http.StatusInternalServerError, code, "Internal error. Please try again or contact Google Support."}
	switch code {
	case "QUOTA_EXCEEDED":
		f.status, f.message = http.StatusForbidden, fmt.Sprintf("Quota 'C3_CPUS' exceeded.  Limit: 4.0 in region %s.", s.region())
	case "ZONE_RESOURCE_POOL_EXHAUSTED":
		f.status = http.StatusServiceUnavailable
		f.message = fmt.Sprintf("The zone '%s' does not have enough resources available to fulfill the request.  Try a different zone, or try again later.", s.scope())
	case "RESOURCE_NOT_FOUND":
		f.status, f.message = http.StatusNotFound, fmt.Sprintf("The resource '%s' was not found", path)
	case "RESOURCE_NOT_READY":
		f.status, f.message = http.StatusBadRequest, fmt.Sprintf("The resource '%s' is not ready", path)
	}
	return f
}

package gce

import (
	"net/http"
	"slices"
	"strings"

	compute "google.golang.org/api/compute/v1"
)

// projectPermissions is the Resource Manager's projects.testIamPermissions: what
// the caller may do before any resource exists is asked there.
func (s *Server) projectPermissions() http.Handler {
	test := s.serve(call{name: "projects.testIamPermissions", handle: s.testPermissions})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		project, ok := strings.CutSuffix(r.PathValue("resource"), ":testIamPermissions")
		if !ok {
			s.unserved(w, r)
			return
		}
		r.SetPathValue("project", project)
		test.ServeHTTP(w, r)
	})
}

// testPermissions answers those of the asked permissions that the caller has. The
// resource need not exist: what is granted is granted for the project.
func (s *Server) testPermissions(q request) (any, error) {
	var in compute.TestPermissionsRequest
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	granted := slices.DeleteFunc(in.Permissions, func(p string) bool { return s.faults.denies(p) || !strings.HasPrefix(p, "compute.") })
	return &compute.TestPermissionsResponse{Permissions: granted}, nil
}

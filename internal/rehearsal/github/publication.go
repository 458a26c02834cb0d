package github

import "net/http"

func (s *Server) apply(st *state, rel *release, in change) *answer {
	wasDraft := rel.Draft
	assign(&rel.Target, in.Target)
	assign(&rel.Title, in.Title)
	assign(&rel.Body, in.Body)
	assign(&rel.Draft, in.Draft)
	assign(&rel.Prerelease, in.Prerelease)
	if wasDraft && !rel.Draft {
		if bad := s.publish(st, rel); bad != nil {
			return bad
		}
		if in.MakeLatest == "" && !rel.Prerelease {
			in.MakeLatest = "true" // "Defaults to `true` for newly published releases"
		}
	}
	return makeLatest(st, rel, in.MakeLatest)
}

func assign[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// publish makes the tag if there is none, as GitHub does when a draft becomes public.
func (s *Server) publish(st *state, rel *release) *answer {
	for _, other := range st.Releases {
		if other != rel && other.Tag == rel.Tag && !other.Draft {
			bad := invalid("Release", "tag_name", "already_exists", "")
			return &bad
		}
	}
	if _, there := st.Refs["refs/tags/"+rel.Tag]; !there {
		at, known := st.commitish(rel.Target)
		if !known {
			bad := invalid("Release", "target_commitish", "invalid", "")
			return &bad
		}
		st.Refs["refs/tags/"+rel.Tag] = at
	}
	rel.PublishedAt = s.stamp()
	return nil
}

func makeLatest(st *state, rel *release, how string) *answer {
	switch how {
	case "":
	case "true":
		if rel.Draft || rel.Prerelease {
			bad := invalid("Release", "make_latest", "custom", "Latest release cannot be draft or prerelease")
			return &bad
		}
		st.LatestID = rel.ID
	case "false", "legacy":
		if st.LatestID == rel.ID {
			st.LatestID = 0
		}
	default:
		bad := fail(http.StatusUnprocessableEntity, "Invalid request.\n\nmake_latest is not a possible value. Must be one of true, false, legacy.")
		return &bad
	}
	return nil
}

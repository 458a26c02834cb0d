package github

import (
	"net/http"
	"slices"
	"strconv"
)

// addLabels adds labels to a pull request, which is an issue too. One that the
// repository does not know is made, as GitHub does for who may write.
func (s *Server) addLabels(r *http.Request, st *state) answer {
	var in struct{ Labels []string }
	if bad := decode(r, &in); bad != nil {
		return *bad
	}
	if len(in.Labels) == 0 || slices.Contains(in.Labels, "") {
		return fail(http.StatusUnprocessableEntity, "Invalid request.\n\nNo subschema in \"oneOf\" matched.")
	}
	at := slices.IndexFunc(st.Pulls, func(p *pull) bool { return strconv.FormatInt(p.Number, 10) == r.PathValue("number") })
	if at < 0 {
		return missing
	}
	p := st.Pulls[at]
	for _, name := range in.Labels {
		if _, known := st.Labels[name]; !known {
			st.Labels[name] = st.next()
		}
		if !slices.Contains(p.Labels, name) {
			p.Labels = append(p.Labels, name)
		}
	}
	return ok(s.showLabels(st, p))
}

func (s *Server) showLabels(st *state, p *pull) []any {
	out := []any{}
	for _, name := range p.Labels {
		out = append(out, fields{"id": st.Labels[name], "node_id": node("Label", st.Labels[name]), "url": s.apiURL("labels/%s", name),
			"name": name, "description": nil, "color": "ededed", "default": false})
	}
	return out
}

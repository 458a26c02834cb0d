package github

import (
	"net/http"
	"slices"
)

// Settings are what the repository's administrators chose.
type Settings struct {
	RequiredChecks []RequiredCheck // by the ruleset of main
	Environments   map[string]Environment
}

// RequiredCheck is a check that main's ruleset requires.
type RequiredCheck struct {
	Context string
	App     int64 // 0: whoever reports it
}

// Environment is a deployment environment.
type Environment struct {
	Reviewers         []string // logins; one of them has to approve; none: nobody
	PreventSelfReview bool
	TagPatterns       bool // only tags of some patterns may deploy
}

// Documented are the settings that docs/releasing.md asks for; reviewers are the environment's.
func Documented(reviewers ...string) Settings {
	s := Settings{Environments: map[string]Environment{"release-auditor": {Reviewers: reviewers,
		PreventSelfReview: true, TagPatterns: true}}}
	for _, name := range checkNames {
		s.RequiredChecks = append(s.RequiredChecks, RequiredCheck{Context: name, App: Actions.ID})
	}
	return s
}

// Change changes the settings.
func (s *Server) Change(f func(*Settings)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.settings)
}

// listRules: "All active rules that apply will be returned", and none of another branch.
func (s *Server) listRules(r *http.Request, _ *state) *answer {
	list := []any{}
	if r.PathValue("branch") == defaultBranch {
		of := func(kind string) fields {
			return fields{"type": kind, "ruleset_id": 1, "ruleset_source": s.repository, "ruleset_source_type": "Repository"}
		}
		list = append(list, of("deletion"))
		if len(s.settings.RequiredChecks) > 0 {
			checks := []any{}
			for _, c := range s.settings.RequiredChecks {
				one := fields{"context": c.Context}
				if c.App != 0 {
					one["integration_id"] = c.App
				}
				checks = append(checks, one)
			}
			rule := of("required_status_checks")
			rule["parameters"] = fields{"required_status_checks": checks, "strict_required_status_checks_policy": false}
			list = append(list, rule)
		}
	}
	return page(r, list)
}

func (s *Server) getEnvironment(r *http.Request, _ *state) *answer {
	name := r.PathValue("environment")
	e, there := s.settings.Environments[name]
	if !there {
		return missing
	}
	rules := []any{}
	if len(e.Reviewers) > 0 {
		who := []any{}
		for _, login := range e.Reviewers {
			who = append(who, fields{"type": "User", "reviewer": s.person(login)})
		}
		rules = append(rules, fields{"id": 1, "node_id": node("Gate", 1), "type": "required_reviewers",
			"prevent_self_review": e.PreventSelfReview, "reviewers": who})
	}
	f := s.showEnvironment(name)
	f["deployment_branch_policy"] = nil
	if e.TagPatterns {
		rules = append(rules, fields{"id": 2, "node_id": node("Gate", 2), "type": "branch_policy"})
		f["deployment_branch_policy"] = fields{"protected_branches": false, "custom_branch_policies": true}
	}
	f["protection_rules"] = rules
	return ok(f)
}

func (s *Server) showEnvironment(name string) fields {
	return fields{"id": 1, "node_id": node("Environment", name), "name": name,
		"url":      s.apiURL("environments/%s", name),
		"html_url": s.webURL("deployments/activity_log?environments_filter=%s", name),
	}.set(s.stamp(), "created_at", "updated_at")
}

// mayReview says whether somebody may decide about a run that waits for the environment.
func (e Environment) mayReview(who string, run *workflowRun) bool {
	self := who == run.Trigger && e.PreventSelfReview
	return slices.Contains(e.Reviewers, who) && !self
}

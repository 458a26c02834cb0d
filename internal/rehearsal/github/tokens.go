package github

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/file"
)

// kind is what a token is.
type kind string

const (
	nobody      kind = ""             // no token was sent
	impostor    kind = "impostor"     // a token that GitHub does not know
	job         kind = "job"          // GITHUB_TOKEN of a workflow's job
	fineGrained kind = "fine-grained" // a person's, with permissions
	classic     kind = "classic"      // a person's, with scopes
)

// asker is who sends a request, as far as the token says.
type asker struct {
	Kind        kind              `json:"kind"`
	Permissions map[string]string `json:"permissions,omitempty"` // level by name; what is absent is none
	Scopes      []string          `json:"scopes,omitempty"`      // of a classic token
}

// need is a permission and its level. The zero value is no need at all: the
// repository is public, so anybody reads it.
type need struct{ permission, level string }

var (
	none              = need{}
	readActions       = need{"actions", "read"}
	readChecks        = need{"checks", "read"}
	readContents      = need{"contents", "read"}
	readStatuses      = need{"statuses", "read"}
	writeContents     = need{"contents", "write"}
	writeStatuses     = need{"statuses", "write"}
	writePullRequests = need{"pull-requests", "write"}
	writeIssues       = need{"issues", "write"}
	writeWorkflows    = need{"workflows", "write"} // no job's token can have it
)

// may says whether the token goes so far. A person's classic token with repo or
// public_repo may what its owner may, but for workflow files. What is public is
// read by strangers and by any classic token.
func (a asker) may(n need) bool {
	if n == none || n.level == "read" && (a.Kind == nobody || a.Kind == classic) {
		return true
	}
	switch a.Kind {
	case job, fineGrained:
		got := a.Permissions[n.permission]
		return got == "write" || got == n.level
	case classic:
		if n == writeWorkflows {
			return slices.Contains(a.Scopes, "workflow")
		}
		return slices.Contains(a.Scopes, "repo") || slices.Contains(a.Scopes, "public_repo")
	}
	return false
}

// pushes says who sees drafts: "Only users with push access will receive listings for draft releases."
func (a asker) pushes() bool { return a.may(writeContents) }

// refuse is GitHub's answer to a token that does not go far enough: to a classic
// one, that there is no such thing.
func (a asker) refuse(n need) *answer {
	switch a.Kind {
	case job:
		return fail(http.StatusForbidden, "Resource not accessible by integration").
			with("X-Accepted-GitHub-Permissions", accepted(n))
	case fineGrained:
		return fail(http.StatusForbidden, "Resource not accessible by personal access token").
			with("X-Accepted-GitHub-Permissions", accepted(n))
	case classic:
		wanted := "public_repo, repo"
		if n == writeWorkflows {
			wanted = "repo, workflow"
		}
		return missing.with("X-Accepted-OAuth-Scopes", wanted)
	}
	return fail(http.StatusUnauthorized, "Requires authentication")
}

// accepted is a need as GitHub spells it: "pull_requests=write".
func accepted(n need) string {
	if n == writeWorkflows {
		return "contents=write; contents=write,workflows=write"
	}
	return strings.ReplaceAll(n.permission, "-", "_") + "=" + n.level
}

// JobToken is a token as a workflow's job gets one. permissions are those of the
// workflow's file ("contents": "write"); what is absent is none. The same
// permissions give the same token, as long as the server's folder lives.
func (s *Server) JobToken(permissions map[string]string) (string, error) {
	for name := range permissions {
		if !slices.Contains(jobPermissions(), name) {
			return "", fmt.Errorf("a workflow's file knows no permission %q", name)
		}
	}
	return s.issue("ghs_", asker{Kind: job, Permissions: permissions})
}

// FineGrainedToken is a person's fine-grained token for the repository.
func (s *Server) FineGrainedToken(permissions map[string]string) (string, error) {
	return s.issue("github_pat_", asker{Kind: fineGrained, Permissions: permissions})
}

// ClassicToken is a classic token of somebody who may push.
func (s *Server) ClassicToken(scopes ...string) (string, error) {
	return s.issue("ghp_", asker{Kind: classic, Scopes: scopes})
}

// jobPermissions are those that a workflow's file may name. There is no
// "workflows" among them: no job changes workflow files.
func jobPermissions() []string {
	return []string{"actions", "artifact-metadata", "attestations", "checks", "contents", "deployments", "discussions",
		"id-token", "issues", "models", "packages", "pages", "pull-requests", "security-events", "statuses"}
}

// issue derives a token from what it may do, and keeps what it may do.
func (s *Server) issue(prefix string, a asker) (string, error) {
	for name, level := range a.Permissions {
		if level != "read" && level != "write" && level != "none" {
			return "", fmt.Errorf("permission %s: %q is none of read, write and none", name, level)
		}
	}
	what, err := canonical.Marshal(a)
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, []byte(s.owner))
	mac.Write(what)
	token := prefix + hex.EncodeToString(mac.Sum(nil))[:36]
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.tokens[hashed(token)]; known {
		return token, nil
	}
	s.tokens[hashed(token)] = a
	return token, s.saveTokens()
}

// hashed is the form in which tokens are kept.
func hashed(token string) string { return digest.Of([]byte(token)).String() }

func (s *Server) tokensFile() string { return filepath.Join(s.dir, "tokens.json") }

func (s *Server) loadTokens() error {
	s.tokens = map[string]asker{}
	data, err := os.ReadFile(s.tokensFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return canonical.Unmarshal(data, &s.tokens)
}

func (s *Server) saveTokens() error {
	data, err := canonical.Marshal(s.tokens)
	if err != nil {
		return err
	}
	return file.Write(s.tokensFile(), data, 0o600)
}

// Packages is what a token allows at the package registry: "write", "read" or
// "none". A fine-grained one allows nothing there.
func (s *Server) Packages(token string) (level string, known bool) {
	a := s.identify(token)
	scope := func(name string) bool { return a.Kind == classic && slices.Contains(a.Scopes, name) }
	switch {
	case a.Kind == impostor:
		return "none", false
	case a.Kind == job:
		return cmp.Or(a.Permissions["packages"], "none"), true
	case scope("write:packages"):
		return "write", true
	case scope("read:packages"):
		return "read", true
	}
	return "none", true
}

// Knows says whether a token was made here.
func (s *Server) Knows(token string) bool { return s.identify(token).Kind != impostor }

func (s *Server) identify(token string) asker {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, known := s.tokens[hashed(token)]; known {
		return a
	}
	return asker{Kind: impostor}
}

// sender is who sends a request.
func (s *Server) sender(r *http.Request) asker {
	sent := r.Header.Get("Authorization")
	if sent == "" {
		return asker{}
	}
	for _, scheme := range []string{"token ", "Bearer "} {
		if token, ok := strings.CutPrefix(sent, scheme); ok {
			return s.identify(token)
		}
	}
	return asker{Kind: impostor}
}

type askerKey struct{}

func withAsker(r *http.Request, a asker) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), askerKey{}, a))
}

// who is the asker that admit found.
func who(r *http.Request) asker {
	a, _ := r.Context().Value(askerKey{}).(asker)
	return a
}

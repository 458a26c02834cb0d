package main

import (
	"cmp"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/subtle"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	issuerKeyID   = "mero-tee-rehearsal"
	tokenLifetime = 5 * time.Minute // as GitHub's
)

// issuer stands in for GitHub Actions' identity provider: what Fulcio reads
// (discovery and keys) and what a job reads (the runner's token endpoint).
type issuer struct {
	url, bearer string
	public      crypto.PublicKey
	signer      jose.Signer
}

func newIssuer(s store, url, bearer string) (*issuer, error) {
	key, err := s.key("issuer", func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 2048) })
	if err != nil {
		return nil, err
	}
	signing := jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: key, KeyID: issuerKeyID}}
	signer, err := jose.NewSigner(signing, (&jose.SignerOptions{}).WithType("JWT"))
	return &issuer{url: url, bearer: bearer, public: key.Public(), signer: signer}, err
}

// discovery is OpenID Connect discovery and the key set, under the issuer's own URL.
func (i *issuer) discovery() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{
			"issuer": i.url, "jwks_uri": i.url + "/.well-known/jwks",
			"response_types_supported": []string{"id_token"}, "subject_types_supported": []string{"public", "pairwise"},
			"id_token_signing_alg_values_supported": []string{"RS256"},
		})
	})
	mux.HandleFunc("GET /.well-known/jwks", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
			{Key: i.public, KeyID: issuerKeyID, Algorithm: "RS256", Use: "sig"}}})
	})
	return mux
}

// runner is what ACTIONS_ID_TOKEN_REQUEST_URL points at. GitHub knows which job
// asks; here the query says it, so that one instance serves any number of
// releases. Clients append &audience= and never look at the rest.
func (i *issuer) runner() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		if !i.authorized(r) {
			http.Error(w, "unauthorized", http.StatusUnauthorized)
			return
		}
		j, err := parseJob(r.URL.Query())
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		token, err := jwt.Signed(i.signer).Claims(j.claims(i.url, time.Now())).Serialize()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		writeJSON(w, http.StatusOK, map[string]string{"value": token})
	})
	return mux
}

func (i *issuer) authorized(r *http.Request) bool {
	scheme, bearer, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.EqualFold(scheme, "bearer") && subtle.ConstantTimeCompare([]byte(bearer), []byte(i.bearer)) == 1
}

// job is the workflow run that asks for a token.
type job struct {
	repository  string // owner/name
	workflow    string // file name below .github/workflows
	ref, sha    string
	event       string
	environment string // where the job runs: github-hosted or self-hosted
	audience    string
}

// forms are the shapes that GitHub's own claims have.
var forms = map[string]*regexp.Regexp{
	"repository":         regexp.MustCompile(`^[A-Za-z0-9-]{1,39}/[A-Za-z0-9._-]{1,100}$`),
	"workflow":           regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}\.ya?ml$`),
	"ref":                regexp.MustCompile(`^refs/(heads|tags)/[A-Za-z0-9._/-]{1,200}$`),
	"sha":                regexp.MustCompile(`^[0-9a-f]{40}$`),
	"event":              regexp.MustCompile(`^[a-z_]{1,40}$`),
	"runner_environment": regexp.MustCompile(`^(github-hosted|self-hosted)$`),
	"audience":           regexp.MustCompile(`^[!-~]{1,200}$`),
}

// parseJob reads repository, workflow, ref, sha, and optionally event (push), runner_environment (github-hosted) and
// audience.
func parseJob(q url.Values) (job, error) {
	j := job{
		repository: q.Get("repository"), workflow: q.Get("workflow"), ref: q.Get("ref"), sha: q.Get("sha"),
		event: cmp.Or(q.Get("event"), "push"), environment: cmp.Or(q.Get("runner_environment"), "github-hosted"),
	}
	j.audience = cmp.Or(q.Get("audience"), "https://github.com/"+j.owner())
	for name, value := range map[string]string{
		"repository": j.repository, "workflow": j.workflow, "ref": j.ref, "sha": j.sha,
		"event": j.event, "runner_environment": j.environment, "audience": j.audience,
	} {
		if !forms[name].MatchString(value) {
			return job{}, fmt.Errorf("%s: want %s", name, forms[name])
		}
	}
	return j, nil
}

func (j job) owner() string {
	owner, _, _ := strings.Cut(j.repository, "/")
	return owner
}

// claims are those that GitHub documents for a token of a job.
func (j job) claims(issuer string, now time.Time) map[string]any {
	workflowRef := fmt.Sprintf("%s/.github/workflows/%s@%s", j.repository, j.workflow, j.ref)
	refType := "branch"
	if strings.HasPrefix(j.ref, "refs/tags/") {
		refType = "tag"
	}
	return map[string]any{
		"iss": issuer, "aud": j.audience, "sub": fmt.Sprintf("repo:%s:ref:%s", j.repository, j.ref), "jti": rand.Text(),
		"iat": now.Unix(), "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(tokenLifetime).Unix(),
		"actor": "rehearsal", "actor_id": "1", "event_name": j.event,
		"ref": j.ref, "ref_type": refType, "ref_protected": "true", "sha": j.sha,
		"repository": j.repository, "repository_id": "1", "repository_visibility": "public",
		"repository_owner": j.owner(), "repository_owner_id": "1",
		"workflow": j.workflow, "workflow_ref": workflowRef, "workflow_sha": j.sha,
		"job_workflow_ref": workflowRef, "job_workflow_sha": j.sha,
		"run_id": "1", "run_number": "1", "run_attempt": "1", "runner_environment": j.environment,
	}
}

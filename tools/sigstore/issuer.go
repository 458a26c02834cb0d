package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/subtle"
	"net/http"
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

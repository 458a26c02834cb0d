package gce

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2/google"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/file"
)

// account is the project's only service account.
type account struct {
	email  string
	file   []byte // its key file, as the vendor hands it out
	key    *rsa.PrivateKey
	secret []byte // signs access tokens, so that they outlive the process
}

// openAccount reads the key file, or makes it at the first use of the folder.
func openAccount(path string, create func() ([]byte, error)) (*account, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		data, err = create()
		if err == nil {
			err = file.Write(path, data, 0o600)
		}
	}
	if err != nil {
		return nil, err
	}
	a, err := parseAccount(data)
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: path, Err: err}
	}
	return a, nil
}

func parseAccount(data []byte) (*account, error) {
	config, err := google.JWTConfigFromJSON(data)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(config.PrivateKey)
	if block == nil {
		return nil, errors.New("no private key")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("not an RSA key")
	}
	mac := hmac.New(sha256.New, block.Bytes)
	_, _ = mac.Write([]byte("access tokens")) // never fails
	return &account{email: config.Email, file: data, key: private, secret: mac.Sum(nil)}, nil
}

// NewKey makes the key file of a project's service account.
func NewKey(project string) ([]byte, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	id := sha256.Sum256(x509.MarshalPKCS1PublicKey(&key.PublicKey))
	return canonical.Marshal(map[string]string{"type": "service_account", "project_id": project,
		"private_key_id": hex.EncodeToString(id[:20]), "client_id": strconv.FormatUint(fixedID(project), 10),
		"private_key":  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"client_email": "mero-tee@" + project + ".iam.gserviceaccount.com",
		"auth_uri":     "https://accounts.google.com/o/oauth2/auth",
		"token_uri":    tokenURI, "universe_domain": "googleapis.com"})
}

// Key is the service account's key file.
func (s *Server) Key() []byte { return s.account.file }

const (
	tokenURI  = "https://" + tokenHost + "/token"
	grantType = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	lifetime  = time.Hour
	skew      = 5 * time.Minute
)

// claims are those of a JWT that a service account signs for itself.
type claims struct {
	Issuer   string `json:"iss"`
	Audience string `json:"aud"`
	Scope    string `json:"scope"`
	IssuedAt int64  `json:"iat"`
	Expires  int64  `json:"exp"`
}

// giveToken answers for oauth2.googleapis.com: it gives a bearer token for an
// assertion that the service account signed.
func (s *Server) giveToken(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 1<<16)
	if r.PostFormValue("grant_type") != grantType {
		deny(w, "unsupported_grant_type", "Invalid grant_type: "+r.PostFormValue("grant_type"))
		return
	}
	c, err := s.account.verify(r.PostFormValue("assertion"), s.options.Now())
	switch {
	case err != nil:
		deny(w, "invalid_grant", err.Error())
	case c.Audience != tokenURI:
		deny(w, "invalid_grant", "Invalid JWT: the audience is not this server's.")
	case c.Scope == "":
		deny(w, "invalid_scope", "Invalid OAuth scope or ID token audience provided.")
	default:
		body, _ := json.Marshal(map[string]any{"access_token": s.account.token(s.options.Now().Add(lifetime)),
			"expires_in": int(lifetime.Seconds()) - 1, "token_type": "Bearer"}) // plain values always marshal
		write(w, http.StatusOK, body, nil)
	}
}

func deny(w http.ResponseWriter, code, description string) {
	body, _ := json.Marshal(map[string]string{"error": code, "error_description": description}) // plain values
	write(w, http.StatusBadRequest, body, nil)
}

// denial is why an assertion is refused, in the vendor's words.
type denial string

func (d denial) Error() string { return string(d) }

// verify checks an RS256 signature of the account and the claims' times.
func (a *account) verify(jwt string, now time.Time) (claims, error) {
	var c claims
	signed, err := jose.ParseSignedCompact(jwt, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return c, denial("Invalid JWT: not a JWT signed with RS256.")
	}
	payload, err := signed.Verify(&a.key.PublicKey)
	if err != nil || json.Unmarshal(payload, &c) != nil || c.Issuer != a.email {
		return c, denial("Invalid JWT Signature.")
	}
	issued, expires := time.Unix(c.IssuedAt, 0), time.Unix(c.Expires, 0)
	if issued.After(now.Add(skew)) || !expires.After(now) || expires.Sub(issued) > lifetime {
		return c, denial("Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.")
	}
	return c, nil
}

// token is a bearer token that says when it ends.
func (a *account) token(expires time.Time) string {
	text := strconv.FormatInt(expires.Unix(), 10)
	mac := hmac.New(sha256.New, a.secret)
	_, _ = mac.Write([]byte(text)) // never fails
	return "ya29.rehearsal-" + text + "-" + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// authenticate admits a bearer token of OAuth, and a JWT that the account signed
// for this API itself, as the vendor's newer clients do.
func (s *Server) authenticate(r *http.Request) error {
	now := s.options.Now()
	sent, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	text, _, _ := strings.Cut(strings.TrimPrefix(sent, "ya29.rehearsal-"), "-")
	unix, err := strconv.ParseInt(text, 10, 64)
	expires := time.Unix(unix, 0)
	if err == nil && expires.After(now) && hmac.Equal([]byte(sent), []byte(s.account.token(expires))) {
		return nil
	}
	c, err := s.account.verify(sent, now)
	if err == nil && (c.Scope != "" || strings.HasPrefix(c.Audience, "https://"+apiHost+"/")) {
		return nil
	}
	return refuse(http.StatusUnauthorized, "authError",
		"Request had invalid authentication credentials. Expected OAuth 2 access token.")
}

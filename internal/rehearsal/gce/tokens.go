package gce

import (
	"crypto"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

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
	body, _ := json.Marshal(map[string]string{"error": code, "error_description": description}) // plain values always marshal
	write(w, http.StatusBadRequest, body, nil)
}

// denial is why an assertion is refused, in the vendor's words.
type denial string

func (d denial) Error() string { return string(d) }

const errNoJWT = denial("Invalid JWT: not a JWT signed with RS256.")

// verify checks an RS256 signature of the account and the claims' times.
func (a *account) verify(jwt string, now time.Time) (claims, error) {
	var c claims
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return c, errNoJWT
	}
	var header struct {
		Algorithm string `json:"alg"`
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || part(parts[0], &header) != nil || part(parts[1], &c) != nil || header.Algorithm != "RS256" {
		return c, errNoJWT
	}
	if rsa.VerifyPKCS1v15(&a.key.PublicKey, crypto.SHA256, sum[:], signature) != nil || c.Issuer != a.Email {
		return c, denial("Invalid JWT Signature.")
	}
	issued, expires := time.Unix(c.IssuedAt, 0), time.Unix(c.Expires, 0)
	if issued.After(now.Add(skew)) || !expires.After(now) || expires.Sub(issued) > lifetime {
		return c, denial("Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.")
	}
	return c, nil
}

func part(text string, into any) error {
	data, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
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
	if expires := time.Unix(unix, 0); err == nil && expires.After(now) && hmac.Equal([]byte(sent), []byte(s.account.token(expires))) {
		return nil
	}
	if c, err := s.account.verify(sent, now); err == nil && (c.Scope != "" || strings.HasPrefix(c.Audience, "https://"+apiHost+"/")) {
		return nil
	}
	return refuse(http.StatusUnauthorized, "authError", "Request had invalid authentication credentials. Expected OAuth 2 access token.")
}

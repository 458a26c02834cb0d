package gce

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

const scope = "https://www.googleapis.com/auth/cloud-platform"

// credentials turns a service account key, or what the machine has, into tokens.
func credentials(ctx context.Context, key []byte) (oauth2.TokenSource, error) {
	if len(key) == 0 {
		found, err := google.FindDefaultCredentials(ctx, scope)
		if err != nil {
			return nil, &fault.Error{Code: fault.Usage, Message: "this machine has no credentials for Google Cloud",
				Hint: "set GCP_SERVICE_ACCOUNT_KEY, or run `gcloud auth application-default login`; in CI: " +
					"google-github-actions/auth", Err: err}
		}
		return found.TokenSource, nil
	}
	if why := malformed(key); why != "" {
		return nil, badKey(why)
	}
	// A configuration of another type may name programs to run and URLs to ask: only a key is taken.
	found, err := google.CredentialsFromJSONWithType(ctx, key, google.ServiceAccount, scope)
	if err != nil {
		return nil, badKey("not usable")
	}
	return found.TokenSource, nil
}

// badKey has no cause: the text of a parser's error may hold a part of the key.
func badKey(why string) error {
	return &fault.Error{Code: fault.Usage, Message: "GCP_SERVICE_ACCOUNT_KEY: " + why,
		Expected: "the JSON file of a service account key, whole and unchanged",
		Hint:     "create one with `gcloud iam service-accounts keys create`, and set the variable to the file's content"}
}

// malformed says what is wrong with a key; the library would find out at its first use.
func malformed(key []byte) string {
	var k struct {
		Type  string `json:"type"`
		Email string `json:"client_email"`
		PEM   string `json:"private_key"`
	}
	if json.Unmarshal(key, &k) != nil {
		return "not JSON"
	}
	block, _ := pem.Decode([]byte(k.PEM))
	switch {
	case k.Type != string(google.ServiceAccount):
		return "not of the type service_account"
	case k.Email == "":
		return "without client_email"
	case block == nil:
		return "without a private key in PEM"
	}
	_, err8 := x509.ParsePKCS8PrivateKey(block.Bytes)
	_, err1 := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err8 != nil && err1 != nil {
		return "its private key cannot be read"
	}
	return ""
}

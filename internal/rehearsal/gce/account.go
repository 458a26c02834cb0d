package gce

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/file"
)

// account is the project's only service account, as its key file describes it.
type account struct {
	Type       string `json:"type"`
	ProjectID  string `json:"project_id"`
	KeyID      string `json:"private_key_id"`
	PrivateKey string `json:"private_key"`
	Email      string `json:"client_email"`
	ClientID   string `json:"client_id"`
	AuthURI    string `json:"auth_uri"`
	TokenURI   string `json:"token_uri"`
	Universe   string `json:"universe_domain"`

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
	a := &account{}
	if err := canonical.Unmarshal(data, a); err != nil {
		return nil, &fs.PathError{Op: "read", Path: path, Err: err}
	}
	block, _ := pem.Decode([]byte(a.PrivateKey))
	if block == nil {
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("no private key")}
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: path, Err: err}
	}
	var ok bool
	if a.key, ok = key.(*rsa.PrivateKey); !ok {
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("not an RSA key")}
	}
	mac := hmac.New(sha256.New, block.Bytes)
	_, _ = mac.Write([]byte("access tokens")) // never fails
	a.secret = mac.Sum(nil)
	return a, nil
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
	sum := sha256.Sum256(x509.MarshalPKCS1PublicKey(&key.PublicKey))
	return canonical.Marshal(&account{Type: "service_account", ProjectID: project, KeyID: hex.EncodeToString(sum[:20]),
		PrivateKey: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		Email:      "mero-tee@" + project + ".iam.gserviceaccount.com", ClientID: numeral(numericID(project)),
		AuthURI: "https://accounts.google.com/o/oauth2/auth", TokenURI: tokenURI, Universe: "googleapis.com"})
}

// Key is the service account's key file, as the vendor hands it out.
func (s *Server) Key() ([]byte, error) {
	return json.MarshalIndent(s.account, "", "  ") //nolint:gosec // that is what the file is for
}

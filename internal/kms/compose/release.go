package compose

import (
	"context"
	"encoding/hex"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Path is where the compose file lies in the repository.
const Path = "docker/mero-kms/docker-compose.yaml"

// Values are what a release fills into it.
type Values struct {
	Image     string // repository@digest
	Version   release.Version
	Profile   release.Profile
	PolicyURL string
	Policy    digest.Digest // of the policy at that address
	TDXRoot   [32]byte      // SHA-256 of the one root certificate that is believed
}

// Release is app-compose-{profile}.json of a release: the file's canonical form
// with the values filled in, as dstack takes it. The publisher writes what the
// auditor makes again.
func Release(ctx context.Context, file []byte, v Values) ([]byte, error) {
	filled, err := Canonical(ctx, file, map[string]string{
		"KMS_IMAGE":                v.Image,
		"MERO_KMS_VERSION":         v.Version.String(),
		"MERO_KMS_PROFILE":         string(v.Profile),
		"MERO_KMS_POLICY_URL":      v.PolicyURL,
		"MERO_KMS_POLICY_SHA256":   v.Policy.Hex(),
		"MERO_KMS_TDX_ROOT_SHA256": hex.EncodeToString(v.TDXRoot[:]),
	})
	if err != nil {
		return nil, err
	}
	return AppCompose(v.Profile, filled)
}

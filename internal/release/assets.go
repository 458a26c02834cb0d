package release

import "fmt"

// Names of assets that both families have.
const (
	MeasurementsAsset = "published-mrtds.json"
	SBOMAsset         = "sbom.spdx.json"
	ChecksumsAsset    = "checksums.sha256"
	ComposeHashAsset  = "compose-hash.txt"
	BundleSuffix      = ".sigstore.json"
)

// PolicyAsset is the file name of a profile's attestation policy.
func PolicyAsset(p Profile) string { return fmt.Sprintf("attestation-policy-%s.json", p) }

// ComposeAsset is the file name of the canonical app-compose whose SHA-256 is the profile's compose hash.
func ComposeAsset(p Profile) string { return fmt.Sprintf("app-compose-%s.json", p) }

// Assets lists what a release of the family holds besides checksums and
// bundles. The list is explicit: missing counts as failed.
func (f Family) Assets() []string {
	if f == Node {
		return []string{MeasurementsAsset}
	}
	var out []string
	for _, p := range Profiles() {
		out = append(out, PolicyAsset(p))
	}
	for _, p := range Profiles() {
		out = append(out, ComposeAsset(p))
	}
	return append(out, ComposeHashAsset, MeasurementsAsset, SBOMAsset)
}

// SignedAssets is Assets plus the checksum file: everything that has a bundle.
func (f Family) SignedAssets() []string { return append(f.Assets(), ChecksumsAsset) }

// ExpectedAssets is everything that a complete release holds.
func (f Family) ExpectedAssets() []string {
	signed := f.SignedAssets()
	out := make([]string, 0, 2*len(signed))
	for _, name := range signed {
		out = append(out, name, name+BundleSuffix)
	}
	return out
}

package release

import "fmt"

// Names of assets that both families have.
const (
	MeasurementsAsset = "published-mrtds.json"
	SBOMAsset         = "sbom.spdx.json"
	ProvenanceAsset   = "provenance.intoto.jsonl"
	ChecksumsAsset    = "checksums.sha256"
	ComposeHashAsset  = "compose-hash.txt"
	BundleSuffix      = ".sigstore.json"
)

// PolicyAsset is the file name of a profile's attestation policy.
func PolicyAsset(p Profile) string { return fmt.Sprintf("attestation-policy-%s.json", p) }

// ComposeAsset is the file name of the canonical app-compose whose SHA-256 is the profile's compose hash.
func ComposeAsset(p Profile) string { return fmt.Sprintf("app-compose-%s.json", p) }

// RecordAsset is the file name of the record of a profile's node image.
func RecordAsset(p Profile) string { return fmt.Sprintf("image-record-%s.json", p) }

// EvidenceAsset is the file name of the boots on which a node profile's measurements rest.
func EvidenceAsset(p Profile) string { return fmt.Sprintf("evidence-%s.json", p) }

// Assets lists what a release of the family holds besides checksums and
// bundles. The list is explicit: missing counts as failed.
func (f Family) Assets() []string {
	var out []string
	if f == Node {
		for _, p := range Profiles() {
			out = append(out, EvidenceAsset(p))
		}
		for _, p := range Profiles() {
			out = append(out, RecordAsset(p))
		}
		return append(out, ProvenanceAsset, MeasurementsAsset, SBOMAsset)
	}
	for _, p := range Profiles() {
		out = append(out, PolicyAsset(p))
	}
	for _, p := range Profiles() {
		out = append(out, ComposeAsset(p))
	}
	return append(out, ComposeHashAsset, ProvenanceAsset, MeasurementsAsset, SBOMAsset)
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

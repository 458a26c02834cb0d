package sbom_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/artifact/sbom"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// debian is what a document says of one package: its name, version and package URLs.
type debian struct {
	name, version string
	urls          []string
}

// withPackages is the small document, whose image has these packages besides its Go module.
func withPackages(t *testing.T, packages ...debian) sbom.Packages {
	t.Helper()
	var doc map[string]any
	require.NoError(t, json.Unmarshal([]byte(small(t)), &doc))
	root := doc["packages"].([]any)[0].(map[string]any)["SPDXID"]
	for i, p := range packages {
		id := fmt.Sprintf("SPDXRef-Package-deb-%d", i)
		var refs []any
		for _, url := range p.urls {
			refs = append(refs, map[string]any{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
				"referenceLocator": url})
		}
		refs = append(refs, map[string]any{"referenceCategory": "SECURITY", "referenceType": "cpe23Type",
			"referenceLocator": "cpe:2.3:a:" + p.name})
		doc["packages"] = append(doc["packages"].([]any), map[string]any{"SPDXID": id, "name": p.name,
			"versionInfo": p.version, "downloadLocation": "NOASSERTION", "externalRefs": refs})
		doc["relationships"] = append(doc["relationships"].([]any), map[string]any{"spdxElementId": root,
			"relatedSpdxElement": id, "relationshipType": "CONTAINS"})
	}
	data, err := json.Marshal(doc)
	require.NoError(t, err)
	require.NoError(t, sbom.Check(data), "the form is good")
	listed, err := sbom.Read(data)
	require.NoError(t, err)
	return listed
}

func url(name, arch string) string {
	return "pkg:deb/ubuntu/" + name + "@1?arch=" + arch + "&distro=ubuntu-26.04"
}

// Of a package that is listed twice, for two architectures, each has its own URL.
func TestPackagesHaveTheirPackageURLs(t *testing.T) {
	t.Parallel()
	image := smallImage(t)
	curl, c64, c32 := sbom.Package{Name: "curl", Version: "1", URL: url("curl", "amd64")},
		sbom.Package{Name: "libc6", Version: "1", URL: url("libc6", "amd64")},
		sbom.Package{Name: "libc6", Version: "1", URL: url("libc6", "i386")}
	whole := []debian{{"libc6", "1", []string{c32.URL}}, {"curl", "1", []string{curl.URL}},
		{"libc6", "1", []string{c64.URL}}}
	instead := func(urls ...string) []debian { return []debian{whole[0], {"curl", "1", urls}, whole[2]} }
	require.NoError(t, withPackages(t, whole...).Check(image, []sbom.Package{curl, c64, c32}))
	for name, tc := range map[string]struct {
		listed  []debian
		message string
		got     string
	}{
		"a package is missing": {whole[1:], "1 of 3 packages are missing, or without their package URL",
			"libc6 1 is missing"},
		"no package is there": {nil, "3 of 3 packages are missing",
			"curl 1 is missing, libc6 1 is missing, libc6 1 is missing"},
		"no package URL": {instead(), "1 of 3 packages are missing",
			"curl 1 has no package URL"},
		"two package URLs": {instead(curl.URL, curl.URL),
			"1 of 3 packages are missing", "curl 1 has 2 package URLs"},
		"another distribution": {instead("pkg:deb/debian/curl@1?arch=amd64&distro=debian-12"),
			"1 of 3 packages are missing", `curl 1 has "pkg:deb/debian/curl@1?arch=amd64&distro=debian-12"`},
		"the URL of another package": {instead(url("libcurl4", "amd64")),
			"1 of 3 packages are missing", `curl 1 has "pkg:deb/ubuntu/libcurl4@1?arch=amd64&distro=ubuntu-26.04"`},
		"hostile characters": {instead("pkg:deb/\x1b[31m"),
			"1 of 3 packages are missing", `curl 1 has "pkg:deb/\x1b[31m"`},
		"one too many": {append([]debian{{"nginx", "1", []string{url("nginx", "amd64")}}}, whole...),
			"1 packages or programs are not in the image", `"nginx 1"`},
		"one twice": {append([]debian{whole[1]}, whole...), "1 packages or programs are not in the image", `"curl 1"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := withPackages(t, tc.listed...).Check(image, []sbom.Package{curl, c64, c32})
			require.Equal(t, fault.Verification, fault.CodeOf(err))
			var f *fault.Error
			require.ErrorAs(t, err, &f)
			require.Contains(t, f.Message, tc.message)
			require.Contains(t, f.Got, tc.got)
		})
	}
}

// related is the small document with another package, and what is said of it and the others.
func related(t *testing.T, relationships ...string) sbom.Packages {
	t.Helper()
	const evil = `{"SPDXID": "SPDXRef-evil", "name": "evil", "versionInfo": "1", "downloadLocation": "NOASSERTION",
		"checksums": [{"algorithm": "SHA256", "checksumValue":
		"098588053cbd63bb45281e7b92e012f27e6fe935dfd37b0f52e44aeb6ecf4915"}], "externalRefs": [{"referenceCategory":
		"PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": "pkg:deb/ubuntu/evil@1"}]},`
	const other = `"externalDocumentRefs": [{"externalDocumentId": "DocumentRef-x", "spdxDocument":
		"https://example.org/x", "checksum": {"algorithm": "SHA1", "checksumValue":
		"aa79e6ef1b5bf5d897e22b04f1062f914f4e8aa7"}}], `
	doc := strings.Replace(small(t), `"packages": [`, other+`"packages": [`+evil, 1)
	for _, r := range relationships {
		from, rest, _ := strings.Cut(r, " ")
		kind, to, _ := strings.Cut(rest, " ")
		doc = strings.Replace(doc, `"relationships": [`, fmt.Sprintf(`"relationships": [{"spdxElementId": %q, `+
			`"relationshipType": %q, "relatedSpdxElement": %q},`, from, kind, to), 1)
	}
	require.NoError(t, sbom.Check([]byte(doc)), "the form is good")
	listed, err := sbom.Read([]byte(doc))
	require.NoError(t, err)
	return listed
}

// Whichever way round it is said, and where nothing is said of it: no package comes along unseen.
func TestPackagesAreOfTheImages(t *testing.T) {
	t.Parallel()
	const root, evil, document = "SPDXRef-DocumentRoot-Image-mero-kms-linux-amd64", "SPDXRef-evil", "SPDXRef-DOCUMENT"
	image := smallImage(t)
	subject := sbom.Subject{Repository: "calimero-network/mero-tee", Name: "mero-kms", Version: "1.2.0",
		Images: [][32]byte{image}}
	for name, tc := range map[string]struct{ relationship, contents, images string }{
		"contained":            {root + " CONTAINS " + evil, "not in the image", ""},
		"contained by":         {evil + " CONTAINED_BY " + root, "not in the image", ""},
		"in no image":          {evil + " DEPENDENCY_OF " + root, "", "1 packages are in none of the images"},
		"of another document":  {root + " CONTAINS DocumentRef-x:" + evil, "", "1 packages are in none of the images"},
		"described":            {document + " DESCRIBES " + evil, "", "does not describe the images"},
		"described by":         {evil + " DESCRIBED_BY " + document, "", "does not describe the images"},
		"described by another": {"DocumentRef-x:" + document + " DESCRIBES " + evil, "", "in none of the images"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			listed := related(t, tc.relationship)
			for want, err := range map[string]error{tc.contents: listed.Check(image, nil), tc.images: listed.Describe(subject)} {
				if want == "" {
					require.NoError(t, err)
					continue
				}
				require.Equal(t, fault.Verification, fault.CodeOf(err))
				require.ErrorContains(t, err, want)
			}
		})
	}
	twice := related(t, root+" CONTAINS "+evil, document+" DESCRIBES "+root, root+" DESCRIBED_BY "+document)
	require.NoError(t, twice.Describe(subject), "said three times, it is one image")
}

// An image that stands there twice has two lists, of which one is looked at.
func TestAnImageIsDescribedOnce(t *testing.T) {
	t.Parallel()
	const root = "SPDXRef-DocumentRoot-Image-mero-kms-linux-amd64"
	doc := small(t)
	from, to := strings.Index(doc, `    {
      "name": "mero-kms"`), strings.Index(doc, `    {
      "name": "github.com/google/uuid"`)
	again := strings.Replace(doc[from:to], root, "SPDXRef-again", 1)
	doc = strings.Replace(doc[:from]+again+doc[from:], `"relationships": [`, `"relationships": [{"spdxElementId": `+
		`"SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-again"},`, 1)
	require.NoError(t, sbom.Check([]byte(doc)))
	listed, err := sbom.Read([]byte(doc))
	require.NoError(t, err)
	require.ErrorContains(t, listed.Describe(sbom.Subject{Repository: "calimero-network/mero-tee", Name: "mero-kms",
		Version: "1.2.0", Images: [][32]byte{smallImage(t)}}), "does not describe the images of this release, each once")
}

// smallImage is the digest of the image that the small document describes.
func smallImage(t *testing.T) (sum [32]byte) {
	t.Helper()
	_, err := hex.Decode(sum[:], []byte("098588053cbd63bb45281e7b92e012f27e6fe935dfd37b0f52e44aeb6ecf4915"))
	require.NoError(t, err)
	return sum
}

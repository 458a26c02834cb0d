package sbom_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/artifact/sbom"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// small is a document of syft for one platform, cut down to one module.
func small(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "small.spdx.json"))
	require.NoError(t, err)
	return string(data)
}

func TestCheckAcceptsItsSmallDocument(t *testing.T) {
	t.Parallel()
	require.NoError(t, sbom.Check([]byte(small(t))))
}

// Licences as distributions write them, as far as SPDX has words for them.
func TestCheckTakesLicences(t *testing.T) {
	t.Parallel()
	for _, licence := range []string{"MIT", "NONE", "", "GPL-2.0", "GPL-2.0+", "LGPL-2.1-or-later", "LicenseRef-example",
		"(MIT OR Apache-2.0) AND LicenseRef-example", "GPL-3.0-only WITH GCC-exception-3.1", "mit", "Apache-2.0+", "(MIT)",
		"(GPL-2.0-or-later WITH Bison-exception-2.2)OR(MIT AND (ISC OR Zlib))", "LicenseRef-example AND  MIT",
		strings.Repeat("(", 1<<17) + "MIT" + strings.Repeat(")", 1<<17)} {
		doc := strings.Replace(small(t), `"licenseDeclared": "NOASSERTION"`, `"licenseDeclared": "`+licence+`"`, 1)
		require.NoError(t, sbom.Check([]byte(doc)), licence)
	}
}

// What SPDX has room for, and our own documents do not use.
func TestCheckTakesWhatSPDXHas(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string][2]string{
		"a download location of a repository": {`"downloadLocation": "NOASSERTION"`,
			`"downloadLocation": "git+https://example.org/x.git@v1"`},
		"one over SSH": {`"downloadLocation": "NOASSERTION"`, `"downloadLocation": "git+ssh://git@example.org:x/y.git#z"`},
		"an annotation": {`"packages": [`, `"annotations": [{"annotator": "Person: A", "annotationType": "REVIEW", ` +
			`"annotationDate": "2026-11-23T11:00:00Z", "comment": "read"}], "packages": [`},
		"what depends on nothing": {`"relationships": [`, `"relationships": [{"spdxElementId": "SPDXRef-DOCUMENT", ` +
			`"relatedSpdxElement": "NONE", "relationshipType": "DEPENDS_ON"},`},
		"another document": {`"relationships": [`, `"externalDocumentRefs": [{"externalDocumentId": "DocumentRef-x", ` +
			`"spdxDocument": "https://example.org/x", "checksum": {"algorithm": "SHA1", "checksumValue": "` +
			strings.Repeat("0", 40) + `"}}], "relationships": [{"spdxElementId": "SPDXRef-DOCUMENT", ` +
			`"relatedSpdxElement": "DocumentRef-x:SPDXRef-y", "relationshipType": "AMENDS"},`},
		"the older spelling of a category": {`"PACKAGE-MANAGER"`, `"PACKAGE_MANAGER"`},
		"a checksum of several lengths": {`"checksums": [`,
			`"checksums": [{"algorithm": "BLAKE3", "checksumValue": "00"},`},
		"a page": {`"filesAnalyzed": false`, `"homepage": "https://example.org/", "filesAnalyzed": false`},
	} {
		doc := strings.Replace(small(t), tc[0], tc[1], 1)
		require.NotEqual(t, small(t), doc, name)
		require.NoError(t, sbom.Check([]byte(doc)), name)
	}
}

func TestCheckRefusesForm(t *testing.T) {
	t.Parallel()
	const root, uuid, file = "SPDXRef-DocumentRoot-Image-mero-kms-linux-amd64",
		"SPDXRef-Package-go-module-github.com-google-uuid-248d5e02d9dc76b3", "SPDXRef-File-mero-kms-b0ef086685a146e8"
	const declared = `"licenseDeclared": "NOASSERTION"`
	for name, tc := range map[string]struct{ old, new, want string }{
		"SPDX 2.2":                {"SPDX-2.3", "SPDX-2.2", "wrong spdxVersion"},
		"another data licence":    {"CC0-1.0", "MIT", "wrong dataLicense"},
		"another document id":     {`"SPDXID": "SPDXRef-DOCUMENT"`, `"SPDXID": "SPDXRef-OTHER"`, "wrong SPDXID"},
		"no name":                 {`"name": "mero-kms",` + "\n  \"documentN", `"documentN`, "no document name"},
		"relative namespace":      {"https://github.com/", "", "not an absolute URI"},
		"namespace with fragment": {"https://github.com/", "https://github.com/#", "not an absolute URI"},
		"local time":              {"T11:00:00Z", "T12:00:00+01:00", "not a time in UTC"},
		"no creationInfo":         {`"creationInfo"`, `"creationinformation"`, "no creationInfo"},
		"unpinned syft":           {"syft-1.54.1", "syft-[not provided]", "made by another tool"},
		"another tool":            {"Tool: syft-1.54.1", "Tool: hand-1.54.1", "made by another tool"},
		"no author":               {"Organization: calimero-network", "Tool: hand-1", "not of one author"},
		"two authors": {`"Tool: syft-1.54.1"`, `"Tool: syft-1.54.1", "Person: somebody"`,
			"not of one author"},
		"identifier twice":       {`"SPDXID": "` + uuid, `"SPDXID": "` + root, "missing or used twice"},
		"package and file alike": {`"SPDXID": "` + file, `"SPDXID": "` + uuid, "missing or used twice"},
		"dangling relationship": {`"relatedSpdxElement": "` + file, `"relatedSpdxElement": "SPDXRef-nowhere`,
			"leads nowhere"},
		"identifier with a slash":       {uuid, "SPDXRef-Package-go/module", "other characters than letters"},
		"identifier with an underscore": {uuid, "SPDXRef-Package-go_module", "other characters than letters"},
		"identifier with a plus":        {file, "SPDXRef-File-g++", "other characters than letters"},
		"identifier with an umlaut":     {file, "SPDXRef-File-gr\u00fc\u00df", "other characters than letters"},
		"licence that is nowhere":       {declared, `"licenseDeclared": "LicenseRef-gone"`, "no text of LicenseRef-gone"},
		"one of two is nowhere": {declared, `"licenseDeclared": "MIT AND (LicenseRef-example OR LicenseRef-gone)"`,
			"no text of LicenseRef-gone"},
		"licence of another document": {declared, `"licenseDeclared": "DocumentRef-x:LicenseRef-example"`,
			"no text of DocumentRef-x:LicenseRef-example"},
		"licence that is prose":      {declared, `"licenseDeclared": "BSD style, see file"`, "no expression of licences"},
		"licence that nobody lists":  {declared, `"licenseDeclared": "Custom-1.0"`, "no expression of licences"},
		"licence without an operand": {declared, `"licenseDeclared": "MIT AND"`, "no expression of licences"},
		"licence that is nothing":    {declared, `"licenseDeclared": " "`, "no expression of licences"},
		"licence that names a document alone": {declared, `"licenseDeclared": "DocumentRef-x"`,
			"no expression of licences"},
		"documents without their colon": {declared, `"licenseDeclared": "MIT OR DocumentRef-xLicenseRef-example"`,
			"no expression of licences"},
		"text of another document, with spaces": {declared, `"licenseDeclared": "DocumentRef-x : LicenseRef-example"`,
			"no expression of licences"},
		"parentheses that stay open": {declared, `"licenseDeclared": "` + strings.Repeat("(", 1<<19) + `"`,
			"no expression of licences"},
		"parentheses that nobody opened":   {declared, `"licenseDeclared": "MIT)"`, "no expression of licences"},
		"parentheses around nothing":       {declared, `"licenseDeclared": "() AND MIT"`, "no expression of licences"},
		"operators that touch":             {declared, `"licenseDeclared": "MIT ANDISC"`, "no expression of licences"},
		"operators in small letters":       {declared, `"licenseDeclared": "MIT and ISC"`, "no expression of licences"},
		"two licences without an operator": {declared, `"licenseDeclared": "MIT ISC"`, "no expression of licences"},
		"a version of a licence that has none": {declared, `"licenseDeclared": "MIT-or-later"`,
			"no expression of licences"},
		"an exception to an exception": {declared,
			`"licenseDeclared": "GPL-2.0-only WITH GCC-exception-2.0 WITH GCC-exception-2.0"`, "no expression of licences"},
		"an exception to two licences": {declared, `"licenseDeclared": "(MIT OR ISC) WITH GCC-exception-2.0"`,
			"no expression of licences"},
		"an exception alone":        {declared, `"licenseDeclared": "GCC-exception-2.0"`, "no expression of licences"},
		"no licence among licences": {declared, `"licenseDeclared": "MIT AND NOASSERTION"`, "no expression of licences"},
		"licences on two lines":     {declared, `"licenseDeclared": "MIT\nAND ISC"`, "no expression of licences"},
		"a licence of another plus": {declared, `"licenseDeclared": "LicenseRef-example+"`, "no expression of licences"},
		"exception that is none":    {declared, `"licenseDeclared": "GPL-2.0-only WITH MIT"`, "no expression of licences"},
		"licence without end": {declared, `"licenseDeclared": "` + strings.Repeat("MIT AND ", 1<<17) + `MIT"`,
			"more than the 1048576 bytes allowed"},
		"concluded licence": {`"licenseConcluded": "NOASSERTION"`, `"licenseConcluded": "prose, too"`,
			"no expression of licences"},
		"licence in a file":         {"[\n        \"NOASSERTION\"", "[\n        \"prose, too\"", "no expression of licences"},
		"extracted without a text":  {`"extractedText": "NOASSERTION"`, `"extractedText": ""`, "has no text"},
		"extracted without its id":  {`"licenseId": "LicenseRef-example"`, `"licenseId": "example"`, "no identifier"},
		"extracted with another id": {`"licenseId": "LicenseRef-example"`, `"licenseId": "LicenseRef-a_b"`, "no identifier"},
		"no download location":      {`"downloadLocation": "NOASSERTION",`, "", "no download location"},
		"download location that is none": {`"downloadLocation": "NOASSERTION"`, `"downloadLocation": "see the web"`,
			"no download location"},
		"package without a name":   {`"name": "github.com/google/uuid"`, `"name": ""`, "no name"},
		"file without a name":      {`"fileName": "mero-kms"`, `"fileName": ""`, "no name"},
		"file without a SHA-1":     {`"algorithm": "SHA1"`, `"algorithm": "MD5"`, "no SHA-1"},
		"describes nothing":        {`"DESCRIBES"`, `"CONTAINS"`, "describes nothing"},
		"describes a bare package": {`"algorithm": "SHA256"`, `"algorithm": "MD5"`, "no image with a SHA-256"},
		"a key in another case":    {`"downloadLocation"`, `"DownloadLocation"`, `no "DownloadLocation" in packages`},
		"a key that nobody knows": {`"downloadLocation"`, `"origin": "x", "downloadLocation"`,
			`no "origin" in packages`},
		"a relationship of none": {`"CONTAINS"`, `"HOLDS"`, `relationshipType is "HOLDS"`},
		"a category of none":     {`"PACKAGE-MANAGER"`, `"PACKAGES"`, `referenceCategory is "PACKAGES"`},
		"a creator of no kind":   {`"creators": [`, `"creators": ["Robot: x",`, `creators is "Robot: x"`},
		"a part of a second":     {`Z"`, `.5Z"`, "created is"},
		"analyzed files":         {`"filesAnalyzed": false`, `"filesAnalyzed": true`, "no packageVerificationCode"},
		"no package URL":         {`"pkg:golang/`, `"golang/`, `a reference to "golang/`},
		"a name of two lines": {`"name": "github.com/google/uuid"`, `"name": "github.com/google/uuid\nx"`,
			"is not one line"},
		"a short checksum":             {`"checksumValue": "`, `"checksumValue": "", "x": "`, `no "x" in checksums`},
		"a checksum of another length": {`"algorithm": "SHA1"`, `"algorithm": "SHA512"`, "a checksum SHA512 of"},
		"a checksum of no kind":        {`"algorithm": "SHA1"`, `"algorithm": "SHA42"`, "a checksum SHA42 of"},
		"a checksum of an object": {`"fileTypes": [`, `"artifactOfs": [{"checksums": [{"algorithm": {}}]}], "fileTypes": [`,
			"in one of checksums"},
		"two checksums of a kind": {`"checksums": [`, `"checksums": [{"algorithm": "SHA256", "checksumValue": "` +
			strings.Repeat("0", 64) + `"},`, "two checksums SHA256"},
		"a checksum without its kind": {`"algorithm": "SHA1",`, ``, "no algorithm in one of checksums"},
		"a relationship of no kind": {`"relationshipType": "CONTAINS"`, `"comment": "x"`,
			"no relationshipType in one of relationships"},
		"a relationship to nothing": {`"relatedSpdxElement": "` + uuid + `",`, ``,
			"no relatedSpdxElement in one of relationships"},
		"a relationship from NONE": {`"relationships": [`, `"relationships": [{"spdxElementId": "NONE", ` +
			`"relatedSpdxElement": "SPDXRef-DOCUMENT", "relationshipType": "CONTAINS"},`, "leads nowhere"},
		"a relationship into a document that nobody names": {`"relatedSpdxElement": "` + uuid,
			`"relatedSpdxElement": "DocumentRef-x:` + uuid, "leads nowhere"},
		"a reference of no type":     {`"referenceType": "purl",`, ``, "no referenceType in one of externalRefs"},
		"a reference of no category": {`"referenceCategory": "PACKAGE-MANAGER",`, ``, "no referenceCategory in one of"},
		"a package URL as a CPE":     {`"PACKAGE-MANAGER"`, `"SECURITY"`, "a package URL of the category SECURITY"},
		"a package URL in capitals":  {`"pkg:golang/`, `"pkg:GOLANG/`, `a reference to "pkg:GOLANG/`},
		"a package URL with slashes": {`"pkg:golang/`, `"pkg://golang/`, `a reference to "pkg://golang/`},
		"a package URL of no name":   {`"pkg:golang/github.com/google/uuid@v1.6.0"`, `"pkg:golang"`, "a reference to"},
		"a file of no type":          {`"BINARY"`, `"BINARIES"`, `fileTypes is "BINARIES"`},
		"a purpose of none":          {`"CONTAINER"`, `"BOX"`, `primaryPackagePurpose is "BOX"`},
		"an annotation without its date": {`"packages": [`, `"annotations": [{"annotator": "Tool: x", ` +
			`"annotationType": "OTHER", "comment": "x"}], "packages": [`, "no annotationDate in one of annotations"},
		"a snippet of nothing": {`"packages": [`, `"snippets": [{"SPDXID": "` + uuid + `"}], "packages": [`,
			"missing or used twice"},
		"a release on no day": {`"filesAnalyzed": false`, `"releaseDate": "2026-02-30T00:00:00Z", "filesAnalyzed": false`,
			"releaseDate is"},
		"a page that is none": {`"filesAnalyzed": false`, `"homepage": "the web", "filesAnalyzed": false`, "homepage is"},
		"a code of no files": {`"filesAnalyzed": false`, `"filesAnalyzed": false, "packageVerificationCode": ` +
			`{"packageVerificationCodeValue": "` + strings.Repeat("0", 40) + `"}`, "but a packageVerificationCode"},
		"a code that is none": {`"filesAnalyzed": false`, `"filesAnalyzed": true, "packageVerificationCode": ` +
			`{"packageVerificationCodeValue": "0"}`, "packageVerificationCodeValue is"},
		"a namespace with a blank": {"https://github.com/calimero", "https://github.com/cali mero", "not an absolute URI"},
		"a name with a direction mark": {`"name": "github.com/google/uuid"`, `"name": "github.com/google/\u202euuid"`,
			"is not one line of what one sees"},
		"a name of two paragraphs": {`"name": "github.com/google/uuid"`, `"name": "uuid\u2029x"`, "is not one line"},
		"nothing as a reference":   {`"externalRefs": [`, `"externalRefs": [null,`, "it holds null"},
		"nothing as a version":     {`"versionInfo": "v1.6.0"`, `"versionInfo": null`, "it holds null"},
		"null package":             {`"packages": [`, `"packages": [null,`, "not an SPDX 2.3 JSON document"},
		"null file":                {`"files": [`, `"files": [null,`, "not an SPDX 2.3 JSON document"},
		"key twice":                {`"dataLicense"`, `"dataLicense": "MIT", "dataLicense"`, "appears twice"},
		"list instead of document": {"{", "[{", "not an SPDX 2.3 JSON document"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc := small(t)
			require.Contains(t, doc, tc.old)
			n := 1
			if strings.HasPrefix(tc.old, "SPDXRef-") {
				n = -1 // its relationships too
			}
			err := sbom.Check([]byte(strings.Replace(doc, tc.old, tc.new, n)))
			require.Equal(t, fault.Verification, fault.CodeOf(err))
			require.ErrorContains(t, err, tc.want)
		})
	}
	for name, data := range map[string]string{"empty": "", "null": "null", "trailing": small(t) + "{}",
		"cut": small(t)[:500]} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, fault.Verification, fault.CodeOf(sbom.Check([]byte(data))))
		})
	}
}

func TestCheckNamesTheMissingModule(t *testing.T) {
	t.Parallel()
	b := build(t)
	data := generate(t, b.options(writeLayout(t, b.binary, "amd64")))
	for name, tc := range map[string]struct {
		without string
		want    []string
	}{
		"a module":       {"github.com/google/uuid", []string{"Go module missing: github.com/google/uuid v1.6.0"}},
		"another module": {"golang.org/x/sync", []string{"Go module missing: golang.org/x/sync v"}},
		"the main module": {"github.com/calimero-network/mero-tee",
			[]string{"Go module missing: github.com/calimero-network/mero-tee"}},
		"the standard library": {"stdlib", []string{"Go module missing: stdlib go1."}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := sbom.Check(without(t, data, tc.without), b.binary)
			require.Equal(t, fault.Verification, fault.CodeOf(err))
			for _, want := range tc.want {
				require.ErrorContains(t, err, want)
			}
		})
	}
	t.Run("another version", func(t *testing.T) {
		t.Parallel()
		other := strings.ReplaceAll(string(data), `"versionInfo": "v1.6.0"`, `"versionInfo": "v1.5.9"`)
		require.ErrorContains(t, sbom.Check([]byte(other), b.binary), "Go module missing: github.com/google/uuid v1.6.0")
	})
	t.Run("another binary", func(t *testing.T) {
		t.Parallel()
		stranger, err := os.Executable()
		require.NoError(t, err)
		err = sbom.Check(data, stranger)
		require.Equal(t, fault.Verification, fault.CodeOf(err))
		require.ErrorContains(t, err, "the binary is not in it")
	})
	t.Run("not a Go binary", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, fault.Usage, fault.CodeOf(sbom.Check(data, "/bin/true")))
	})
}

// without removes a package and every relationship that mentions it.
func without(t *testing.T, data []byte, name string) []byte {
	t.Helper()
	var doc map[string]any
	require.NoError(t, json.Unmarshal(data, &doc))
	gone := map[any]bool{}
	doc["packages"] = drop(doc["packages"], func(p map[string]any) bool {
		gone[p["SPDXID"]] = p["name"] == name
		return p["name"] == name
	})
	doc["relationships"] = drop(doc["relationships"], func(r map[string]any) bool {
		return gone[r["spdxElementId"]] || gone[r["relatedSpdxElement"]]
	})
	out, err := json.Marshal(doc)
	require.NoError(t, err)
	require.NoError(t, sbom.Check(out), "only a module is missing, the form is good")
	return out
}

func drop(list any, unwanted func(map[string]any) bool) (kept []any) {
	for _, e := range list.([]any) {
		if !unwanted(e.(map[string]any)) {
			kept = append(kept, e)
		}
	}
	return kept
}

func FuzzCheck(f *testing.F) {
	var seed bytes.Buffer // compact: the fuzzer minimises what it finds byte by byte
	require.NoError(f, json.Compact(&seed, []byte(small(f))))
	f.Add(seed.Bytes())
	f.Add([]byte(`{"spdxVersion":"SPDX-2.3","packages":[null],"relationships":[null],"creationInfo":{"creators":[]}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		if err := sbom.Check(in); err != nil {
			require.Equal(t, fault.Verification, fault.CodeOf(err))
		}
	})
}

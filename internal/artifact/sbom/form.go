package sbom

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// The keys of SPDX 2.3's JSON form (schemas/spdx-schema.json of its specification). A reader drops what it does not
// know, and one that minds the case, as most do, drops "DownloadLocation" too: then the document says something else.
var keys = map[string][]string{
	"document": strings.Fields("SPDXID annotations comment creationInfo dataLicense documentDescribes documentNamespace " +
		"externalDocumentRefs files hasExtractedLicensingInfos name packages relationships revieweds snippets spdxVersion"),
	"creationInfo": strings.Fields("comment created creators licenseListVersion"),
	"packages": strings.Fields("SPDXID annotations attributionTexts builtDate checksums comment copyrightText " +
		"description downloadLocation externalRefs filesAnalyzed hasFiles homepage licenseComments licenseConcluded " +
		"licenseDeclared licenseInfoFromFiles name originator packageFileName packageVerificationCode " +
		"primaryPackagePurpose releaseDate sourceInfo summary supplier validUntilDate versionInfo"),
	"files": strings.Fields("SPDXID annotations artifactOfs attributionTexts checksums comment copyrightText " +
		"fileContributors fileDependencies fileName fileTypes licenseComments licenseConcluded licenseInfoInFiles " +
		"noticeText"),
	"relationships":              strings.Fields("comment relatedSpdxElement relationshipType spdxElementId"),
	"checksums":                  strings.Fields("algorithm checksumValue"),
	"externalRefs":               strings.Fields("comment referenceCategory referenceLocator referenceType"),
	"hasExtractedLicensingInfos": strings.Fields("comment crossRefs extractedText licenseId name seeAlsos"),
	"packageVerificationCode":    strings.Fields("packageVerificationCodeExcludedFiles packageVerificationCodeValue"),
}

// What values of some keys must be; the others are judged where they mean something.
var forms = map[string]*regexp.Regexp{
	"relationshipType": regexp.MustCompile(`^(?:AMENDS|ANCESTOR_OF|BUILD_DEPENDENCY_OF|BUILD_TOOL_OF|CONTAINED_BY|` +
		`CONTAINS|COPY_OF|DATA_FILE_OF|DEPENDENCY_MANIFEST_OF|DEPENDENCY_OF|DEPENDS_ON|DESCENDANT_OF|DESCRIBED_BY|` +
		`DESCRIBES|DEV_DEPENDENCY_OF|DEV_TOOL_OF|DISTRIBUTION_ARTIFACT|DOCUMENTATION_OF|DYNAMIC_LINK|EXAMPLE_OF|` +
		`EXPANDED_FROM_ARCHIVE|FILE_ADDED|FILE_DELETED|FILE_MODIFIED|GENERATED_FROM|GENERATES|HAS_PREREQUISITE|` +
		`METAFILE_OF|OPTIONAL_COMPONENT_OF|OPTIONAL_DEPENDENCY_OF|OTHER|PACKAGE_OF|PATCH_APPLIED|PATCH_FOR|` +
		`PREREQUISITE_FOR|PROVIDED_DEPENDENCY_OF|REQUIREMENT_DESCRIPTION_FOR|RUNTIME_DEPENDENCY_OF|SPECIFICATION_FOR|` +
		`STATIC_LINK|TEST_CASE_OF|TEST_DEPENDENCY_OF|TEST_OF|TEST_TOOL_OF|VARIANT_OF)$`),
	"referenceCategory": regexp.MustCompile(`^(?:OTHER|SECURITY|PACKAGE[-_]MANAGER|PERSISTENT[-_]ID)$`),
	"creators":          regexp.MustCompile(`^(?:Tool|Person|Organization): \S`),
	"supplier":          regexp.MustCompile(`^(?:NOASSERTION$|(?:Person|Organization): \S)`),
	"originator":        regexp.MustCompile(`^(?:NOASSERTION$|(?:Person|Organization): \S)`),
	"created":           regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`),
}

// digests are the lengths of checksums, in hex digits (clause 7.10).
var digests = map[string]int{"MD5": 32, "SHA1": 40, "SHA224": 56, "SHA256": 64, "SHA384": 96, "SHA512": 128,
	"SHA3-256": 64, "SHA3-384": 96, "SHA3-512": 128, "BLAKE2b-256": 64, "BLAKE2b-384": 96, "BLAKE2b-512": 128}

var lowerHex = regexp.MustCompile(`^[0-9a-f]+$`)

// checkSpelling refuses what other readers than ours would drop or not understand.
func checkSpelling(data []byte) error {
	var document any
	err := json.Unmarshal(data, &document)
	if err == nil {
		err = shape("document", document)
	}
	if err == nil {
		return nil
	}
	return invalid("other readers would drop some of it", "", err)
}

// shape judges a value by the key that it stands under.
func shape(under string, value any) error {
	switch v := value.(type) {
	case []any:
		for _, e := range v {
			if err := shape(under, e); err != nil {
				return err
			}
		}
	case string:
		if form := forms[under]; form != nil && !form.MatchString(v) {
			return fmt.Errorf("%s is %.80q", under, v)
		}
		if (under == "name" || under == "versionInfo" || under == "fileName") && strings.ContainsFunc(v, unicode.IsControl) {
			return fmt.Errorf("%s is not one line: %.80q", under, v)
		}
	case map[string]any:
		return object(under, v)
	}
	return nil
}

func object(under string, v map[string]any) error {
	if known := keys[under]; known != nil {
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if !slices.Contains(known, key) {
				return fmt.Errorf("SPDX 2.3 has no %.40q in %s", key, under)
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(v)) {
		if err := shape(key, v[key]); err != nil {
			return err
		}
	}
	switch under {
	case "checksums":
		algorithm, _ := v["algorithm"].(string)
		sum, _ := v["checksumValue"].(string)
		if n, known := digests[algorithm]; known && len(sum) != n || !lowerHex.MatchString(sum) {
			return fmt.Errorf("a checksum %.20s of %.140q", algorithm, sum)
		}
	case "externalRefs":
		locator, _ := v["referenceLocator"].(string)
		if v["referenceType"] == "purl" && !strings.HasPrefix(locator, "pkg:") || locator == "" {
			return fmt.Errorf("a reference to %.80q", locator)
		}
	case "packages":
		if v["filesAnalyzed"] == true && v["packageVerificationCode"] == nil {
			return fmt.Errorf("package %.80q has analyzed files and no packageVerificationCode", fmt.Sprint(v["name"]))
		}
	}
	return nil
}

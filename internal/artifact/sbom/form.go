package sbom

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/calimero-network/mero-tee/internal/base/reason"
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
	"checksum":                   strings.Fields("algorithm checksumValue"),
	"externalRefs":               strings.Fields("comment referenceCategory referenceLocator referenceType"),
	"hasExtractedLicensingInfos": strings.Fields("comment crossRefs extractedText licenseId name seeAlsos"),
	"packageVerificationCode":    strings.Fields("packageVerificationCodeExcludedFiles packageVerificationCodeValue"),
	"annotations":                strings.Fields("annotationDate annotationType annotator comment"),
	"externalDocumentRefs":       strings.Fields("checksum externalDocumentId spdxDocument"),
	"revieweds":                  strings.Fields("comment reviewDate reviewer"),
	"snippets": strings.Fields("SPDXID annotations attributionTexts comment copyrightText licenseComments " +
		"licenseConcluded licenseInfoInSnippets name ranges snippetFromFile"),
}

// The keys without which an object says nothing, as far as nobody else misses them.
var required = map[string][]string{
	"relationships":           strings.Fields("relatedSpdxElement relationshipType spdxElementId"),
	"checksums":               strings.Fields("algorithm checksumValue"),
	"checksum":                strings.Fields("algorithm checksumValue"),
	"externalRefs":            strings.Fields("referenceCategory referenceLocator referenceType"),
	"packageVerificationCode": strings.Fields("packageVerificationCodeValue"),
	"annotations":             strings.Fields("annotationDate annotationType annotator comment"),
	"externalDocumentRefs":    strings.Fields("checksum externalDocumentId spdxDocument"),
	"snippets":                strings.Fields("SPDXID ranges snippetFromFile"),
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
	"primaryPackagePurpose": regexp.MustCompile(`^(?:APPLICATION|ARCHIVE|CONTAINER|DEVICE|FILE|FIRMWARE|FRAMEWORK|` +
		`INSTALL|LIBRARY|OPERATING[-_]SYSTEM|OTHER|SOURCE)$`),
	"fileTypes": regexp.MustCompile(`^(?:APPLICATION|ARCHIVE|AUDIO|BINARY|DOCUMENTATION|IMAGE|OTHER|SOURCE|SPDX|` +
		`TEXT|VIDEO)$`),
	"annotationType": regexp.MustCompile(`^(?:OTHER|REVIEW)$`),
	"creators":       regexp.MustCompile(`^(?:Tool|Person|Organization): \S`),
	"annotator":      regexp.MustCompile(`^(?:Tool|Person|Organization): \S`),
	"supplier":       regexp.MustCompile(`^(?:NOASSERTION$|(?:Person|Organization): \S)`),
	"originator":     regexp.MustCompile(`^(?:NOASSERTION$|(?:Person|Organization): \S)`),
	"homepage":       regexp.MustCompile(`^(?:NONE|NOASSERTION|` + uriForm + `)?$`),
	"spdxDocument":   regexp.MustCompile(`^` + uriForm + `$`),

	"externalDocumentId":           regexp.MustCompile(`^DocumentRef-[A-Za-z0-9.-]+$`),
	"packageVerificationCodeValue": regexp.MustCompile(`^[0-9a-f]{40}$`),
}

// uriForm is an absolute URI (RFC 3986): a scheme, and no other characters than a URI has.
const uriForm = `[A-Za-z][A-Za-z0-9+.-]*:[!#-;=?-Z\[\]_a-z~]+`

var absoluteURI = regexp.MustCompile(`^` + uriForm + `$`)

// purlForm begins a package URL in its canonical form. Other readers find the same type in "pkg:DEB/…" and in
// "pkg://deb/…".
var purlForm = regexp.MustCompile(`^pkg:[a-z][a-z0-9.+-]*/[^/?#@]`)

// dates are the keys of times (clause 6.9).
var dates = strings.Fields("created releaseDate builtDate validUntilDate annotationDate reviewDate")

// oneLine are the keys of names that people compare.
var oneLine = strings.Fields("name versionInfo fileName")

// digests are the lengths of checksums, in hex digits (clause 7.10); 0: it has several.
var digests = map[string]int{"MD2": 32, "MD4": 32, "MD5": 32, "MD6": 0, "ADLER32": 8, "SHA1": 40, "SHA224": 56,
	"SHA256": 64, "SHA384": 96, "SHA512": 128, "SHA3-256": 64, "SHA3-384": 96, "SHA3-512": 128, "BLAKE2b-256": 64,
	"BLAKE2b-384": 96, "BLAKE2b-512": 128, "BLAKE3": 0}

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
		if under == "checksums" {
			return algorithms(v)
		}
	case string:
		return text(under, v)
	case map[string]any:
		return object(under, v)
	}
	return nil
}

func text(under, v string) error {
	form := forms[under]
	switch {
	case form != nil && !form.MatchString(v):
		return fmt.Errorf("%s is %.80q", under, v)
	case slices.Contains(oneLine, under) && strings.ContainsFunc(v, misleads):
		return fmt.Errorf("%s is not one line of what one sees: %.80q", under, v)
	case slices.Contains(dates, under):
		if at, err := time.Parse(timeForm, v); err != nil || at.Format(timeForm) != v {
			return fmt.Errorf("%s is %.80q", under, v)
		}
	}
	return nil
}

// misleads says whether a character parts lines, or is of no width and makes one name look like another.
func misleads(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp) || reason.Invisible(r)
}

// algorithms refuses two digests of one kind: a reader takes one of them.
func algorithms(checksums []any) error {
	seen := map[string]bool{}
	for _, c := range checksums {
		v, _ := c.(map[string]any)
		algorithm, _ := v["algorithm"].(string)
		if seen[algorithm] {
			return fmt.Errorf("two checksums %.20s of one thing", algorithm)
		}
		seen[algorithm] = true
	}
	return nil
}

func object(under string, v map[string]any) error {
	for _, key := range slices.Sorted(maps.Keys(v)) {
		if known := keys[under]; known != nil && !slices.Contains(known, key) {
			return fmt.Errorf("SPDX 2.3 has no %.40q in %s", key, under)
		}
		if err := shape(key, v[key]); err != nil {
			return err
		}
	}
	for _, key := range required[under] {
		if _, there := v[key]; !there {
			return fmt.Errorf("no %s in one of %s", key, under)
		}
	}
	said := func(key string) string { value, _ := v[key].(string); return value }
	switch under {
	case "checksums", "checksum":
		n, known := digests[said("algorithm")]
		if sum := said("checksumValue"); !known || n > 0 && len(sum) != n || !lowerHex.MatchString(sum) {
			return fmt.Errorf("a checksum %.20s of %.140q", said("algorithm"), sum)
		}
	case "externalRefs":
		return reference(said("referenceType"), said("referenceCategory"), said("referenceLocator"))
	case "packages":
		return analyzed(v)
	}
	return nil
}

func reference(kind, category, locator string) error {
	switch {
	case kind == "" || locator == "" || kind == "purl" && !purlForm.MatchString(locator):
		return fmt.Errorf("a reference to %.80q", locator)
	case kind == "purl" && strings.ReplaceAll(category, "_", "-") != "PACKAGE-MANAGER":
		return fmt.Errorf("a package URL of the category %s", category)
	}
	return nil
}

// analyzed: there is a verification code where files were analyzed, and nowhere else (clause 7.9).
func analyzed(v map[string]any) error {
	_, verified := v["packageVerificationCode"]
	switch {
	case v["filesAnalyzed"] == true && !verified:
		return fmt.Errorf("package %.80q has analyzed files and no packageVerificationCode", fmt.Sprint(v["name"]))
	case v["filesAnalyzed"] == false && verified:
		return fmt.Errorf("package %.80q has no analyzed files, but a packageVerificationCode", fmt.Sprint(v["name"]))
	}
	return nil
}

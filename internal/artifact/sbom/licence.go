package sbom

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/github/go-spdx/v2/spdxexp"
	"github.com/spdx/tools-golang/spdx"
)

const (
	none, noAssertion = "NONE", "NOASSERTION"
	// maxLicences bounds the different expressions of a document together, in bytes. One MiB takes 13 s to judge;
	// those of 600 Debian packages have a tenth of it.
	maxLicences = 1 << 20
)

var (
	licenceRef = regexp.MustCompile(`(DocumentRef-[A-Za-z0-9.-]+:)?LicenseRef-[A-Za-z0-9.-]+`)
	idString   = regexp.MustCompile(`^[A-Za-z0-9.-]+$`) // letters, digits, "." and "-": SPDX 2.3, clauses 7.2 and 8.2
)

// licences are the expressions of a document that were judged; most packages share one.
type licences struct {
	extracted map[string]bool // LicenseRef-… with a text in this document
	judged    map[string]error
	left      int // of maxLicences
}

// checkLicences wants each licence to be NONE, NOASSERTION or an expression of
// SPDX 2.3's annex D, and each LicenseRef in it to have its text in the document (clause 10).
func checkLicences(doc *spdx.Document) error {
	l := licences{extracted: map[string]bool{}, judged: map[string]error{}, left: maxLicences}
	var problems []error
	for _, o := range doc.OtherLicenses {
		id, found := strings.CutPrefix(o.LicenseIdentifier, "LicenseRef-")
		if !found || !idString.MatchString(id) || l.extracted[o.LicenseIdentifier] || o.ExtractedText == "" {
			problems = append(problems, invalid("an extracted licence has no text, no identifier, or another's",
				fmt.Sprintf("%.200q", o.LicenseIdentifier), nil))
		}
		l.extracted[o.LicenseIdentifier] = true
	}
	for _, p := range doc.Packages {
		problems = append(problems, l.check(string(p.PackageSPDXIdentifier), slices.Concat(p.PackageLicenseInfoFromFiles,
			[]string{p.PackageLicenseDeclared, p.PackageLicenseConcluded})))
	}
	for _, f := range doc.Files {
		problems = append(problems, l.check(string(f.FileSPDXIdentifier), append(slices.Clone(f.LicenseInfoInFiles),
			f.LicenseConcluded)))
	}
	return errors.Join(problems...)
}

// check judges the licences of one element. An absent one, "", says NOASSERTION since SPDX 2.3.
func (l *licences) check(element string, expressions []string) error {
	var problems []error
	for _, e := range expressions {
		if e == "" || e == none || e == noAssertion {
			continue
		}
		err, known := l.judged[e]
		if !known {
			err = l.judge(e)
			l.judged[e] = err
		}
		if err != nil {
			problems = append(problems, invalid("licence of "+element, fmt.Sprintf("%.200q", e), err))
		}
	}
	return errors.Join(problems...)
}

func (l *licences) judge(expression string) error {
	if l.left -= len(expression); l.left < 0 {
		return fmt.Errorf("the licences have more than the %d bytes allowed", maxLicences)
	}
	if valid, _ := spdxexp.ValidateLicenses([]string{expression}); !valid {
		return errors.New("it is no expression of licences of SPDX")
	}
	for _, ref := range licenceRef.FindAllString(expression, -1) {
		if !l.extracted[ref] {
			return fmt.Errorf("the document has no text of %s", ref)
		}
	}
	return nil
}

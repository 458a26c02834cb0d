package sbom

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/github/go-spdx/v2/spdxexp/spdxlicenses"
	"github.com/spdx/tools-golang/spdx"
)

const (
	none, noAssertion = "NONE", "NOASSERTION"
	// maxLicences bounds the different expressions of a document together, in bytes; those of 600 Debian packages
	// have a tenth of it.
	maxLicences = 1 << 20
)

var (
	licenceRef = regexp.MustCompile(`^(?:DocumentRef-[A-Za-z0-9.-]+:)?LicenseRef-[A-Za-z0-9.-]+$`)
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
			[]string{p.PackageLicenseDeclared, p.PackageLicenseConcluded}))...)
	}
	for _, f := range doc.Files {
		problems = append(problems, l.check(string(f.FileSPDXIdentifier), append(slices.Clone(f.LicenseInfoInFiles),
			f.LicenseConcluded))...)
	}
	return few(problems)
}

// check judges the licences of one element. An absent one, "", says NOASSERTION since SPDX 2.3.
func (l *licences) check(element string, expressions []string) (problems []error) {
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
	return problems
}

func (l *licences) judge(expression string) error {
	if l.left -= len(expression); l.left < 0 {
		return fmt.Errorf("the licences have more than the %d bytes allowed", maxLicences)
	}
	refs, err := references(expression)
	if err != nil {
		return fmt.Errorf("it is no expression of licences of SPDX: %w", err)
	}
	for _, ref := range refs {
		if !l.extracted[ref] {
			return fmt.Errorf("the document has no text of %s", ref)
		}
	}
	return nil
}

// references reads an expression as annex D has it, and returns the LicenseRefs in it. A word is an identifier of the
// list, in any case, one with a "+", or a LicenseRef; WITH, AND and OR are words of their own, in capitals. It reads
// word by word: no depth of parentheses costs more than their number.
func references(expression string) (refs []string, err error) {
	const operand, operator, exception = "a licence", "AND, OR, WITH or )", "an exception"
	next, open, simple := operand, 0, false // simple: the word before is one licence, which WITH may follow
	for word := range strings.FieldsFuncSeq(parted.Replace(expression), func(r rune) bool { return r == ' ' }) {
		switch {
		case next == operand && word == "(":
			open++
		case next == operand && licenceRef.MatchString(word):
			refs, next, simple = append(refs, word), operator, true
		case next == operand && isLicence(word):
			next, simple = operator, true
		case next == operator && word == ")" && open > 0:
			open, simple = open-1, false
		case next == operator && (word == "AND" || word == "OR"):
			next = operand
		case next == operator && word == "WITH" && simple:
			next = exception
		case next == exception && isException(word):
			next, simple = operator, false
		default:
			return nil, fmt.Errorf("%.60q where %s must be", word, next)
		}
	}
	if next != operator || open > 0 {
		return nil, errors.New("it ends too early")
	}
	return refs, nil
}

// parted puts spaces around parentheses, which need none.
var parted = strings.NewReplacer("(", " ( ", ")", " ) ")

func isLicence(word string) bool {
	for _, id := range []string{word, strings.TrimSuffix(word, "+")} {
		active, _ := spdxlicenses.IsActiveLicense(id)
		deprecated, _ := spdxlicenses.IsDeprecatedLicense(id)
		if active || deprecated {
			return true
		}
	}
	return false
}

func isException(word string) bool {
	known, _ := spdxlicenses.IsException(word)
	return known
}

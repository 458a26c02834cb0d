package signature

import (
	"cmp"
	"fmt"
	"regexp"

	fulcio "github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Issuer of the identity tokens of GitHub Actions, and of nothing else.
const Issuer = "https://token.actions.githubusercontent.com"

const (
	github = "https://github.com/"
	runner = "github-hosted"
)

// Identity is who must have signed: one workflow file, run for one tag.
type Identity struct {
	Repository string      // owner/name
	Workflow   string      // file name below .github/workflows
	Tag        release.Tag // the workflow ran for this tag
	Commit     string      // 40 hex digits; empty when the verifier does not know it
}

var (
	repositoryForm = regexp.MustCompile(`^[A-Za-z0-9-]{1,39}/[A-Za-z0-9._-]{1,100}$`)
	workflowForm   = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}\.ya?ml$`)
	commitForm     = regexp.MustCompile(`^[0-9a-f]{40}$`)
)

// Ref is the git reference that the workflow ran for.
func (i Identity) Ref() string { return "refs/tags/" + i.Tag.String() }

// SAN is the certificate's subject alternative name.
func (i Identity) SAN() string {
	return fmt.Sprintf("%s%s/.github/workflows/%s@%s", github, i.Repository, i.Workflow, i.Ref())
}

// validate refuses what would leave a field out: sigstore-go does not compare an extension whose expected value is
// empty.
func (i Identity) validate() error {
	for _, f := range []struct {
		name, value string
		form        *regexp.Regexp
		optional    bool
	}{
		{"repository", i.Repository, repositoryForm, false},
		{"workflow", i.Workflow, workflowForm, false},
		{"commit", i.Commit, commitForm, true},
	} {
		if !f.form.MatchString(f.value) && (f.value != "" || !f.optional) {
			return &fault.Error{Code: fault.Usage, Message: "not a signer's identity: " + f.name,
				Expected: f.form.String(), Got: fmt.Sprintf("%q", f.value)}
		}
	}
	if i.Tag.IsZero() {
		return &fault.Error{Code: fault.Usage, Message: "not a signer's identity: tag", Expected: "a release tag",
			Got: "none"}
	}
	return nil
}

// policy is the identity as sigstore-go compares it.
func (i Identity) policy() (verify.PolicyOption, error) {
	san, err := verify.NewSANMatcher(i.SAN(), "")
	if err != nil {
		return nil, err
	}
	issuer, err := verify.NewIssuerMatcher(Issuer, "")
	if err != nil {
		return nil, err
	}
	id, err := verify.NewCertificateIdentity(san, issuer, fulcio.Extensions{
		SourceRepositoryURI: github + i.Repository, SourceRepositoryRef: i.Ref(), SourceRepositoryDigest: i.Commit,
		RunnerEnvironment: runner,
	})
	return verify.WithCertificateIdentity(id), err
}

// difference names the first field in which a certificate is not of this identity; ok means that none differs.
func (i Identity) difference(got fulcio.Summary) (field, want, is string, ok bool) {
	for _, f := range []struct{ name, want, is string }{
		{"issuer", Issuer, got.Issuer},
		{"repository", github + i.Repository, got.SourceRepositoryURI},
		{"tag", i.Ref(), got.SourceRepositoryRef},
		{"identity", i.SAN(), got.SubjectAlternativeName},
		{"commit", cmp.Or(i.Commit, got.SourceRepositoryDigest), got.SourceRepositoryDigest},
		{"runner", runner, got.RunnerEnvironment},
	} {
		if f.want != f.is {
			return f.name, f.want, f.is, false
		}
	}
	return "", "", "", true
}

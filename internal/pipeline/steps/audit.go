package steps

import (
	"context"
	"maps"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/report"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/audit"
)

// AuditFile is the name of the audit's record in work/.
const AuditFile = "audit.json"

// auditRecord is work/audit.json: what the promotion compares GitHub's own digests with.
type auditRecord struct {
	Tag    string            `json:"tag"`
	Commit string            `json:"commit"`
	Assets map[string]string `json:"assets"`
	Checks []string          `json:"checks"`

	Signed map[string]report.Signature `json:"signed,omitempty"` // by whom and when, by asset
	// Bases says what each register of a node image rests on, in the order of tdx.RegisterNames.
	Bases map[release.Profile][5]string `json:"bases,omitempty"`
}

// Audit reads the public release as a stranger, and makes sure that it is what
// the draft was.
func (r *Release) Audit(ctx context.Context, w *pipeline.Work) error {
	rel, err := r.public(ctx)
	if err != nil {
		return err
	}
	found, err := r.audited(ctx, rel.ID, "public")
	if err != nil {
		return err
	}
	if err := r.keep(auditFile, found.Results); err != nil {
		return err
	}
	if err := found.Results.Report(w.Console); err != nil {
		return err
	}
	if published, _ := r.Ledger.Latest(r.step("publish")); !maps.Equal(found.Digests, published.Outputs) {
		return &fault.Error{Code: fault.Verification, Message: "the public release is not the audited draft",
			Hint: "compare GitHub's digests with dist/*/ledger.jsonl"}
	}
	return WriteJSON(r.Work(AuditFile), auditRecord{Tag: r.Tag.String(), Commit: found.Commit, Assets: found.Digests,
		Checks: Names(found.Results), Signed: report.Signatures(found.Signed), Bases: found.Bases})
}

// Public is the folder into which the auditor downloaded the public release.
func (r *Release) Public() string { return r.Work("public") }

// audited downloads the release with this id and judges it under the rule of its class.
func (r *Release) audited(ctx context.Context, id int64, dir string) (*audit.Report, error) {
	found, err := examine(ctx, r.Env, &audit.GitHub{Client: r.GitHub, ID: id, Tag: r.Tag.String()}, r.Work(dir),
		audit.Subject{Tag: r.Tag, Commit: r.Checkout.Commit, Published: r.Verified})
	if err != nil {
		return nil, err
	}
	found.Results = r.Judged(found.Results)
	return found, nil
}

// Names are the results in the form in which records keep them.
func Names(results check.Results) []string {
	out := make([]string, 0, len(results))
	for _, result := range results {
		out = append(out, string(result.Status)+": "+result.Name)
	}
	return out
}

package kmsrelease

import (
	"context"
	"maps"

	"github.com/calimero-network/mero-tee/internal/check"
	"github.com/calimero-network/mero-tee/internal/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline"
)

const auditFile = "audit.json"

// auditRecord is work/audit.json: what the promotion compares GitHub's own digests with.
type auditRecord struct {
	Tag    string            `json:"tag"`
	Commit string            `json:"commit"`
	Assets map[string]string `json:"assets"`
	Checks []string          `json:"checks"`
}

// audit reads the public release as a stranger, and makes sure that it is what
// the draft was.
func (r *Release) audit(ctx context.Context, w *pipeline.Work) error {
	report, err := r.auditOK(ctx, 0, "public")
	if report != nil {
		report.Results.Print(w.Console)
	}
	if err != nil {
		return err
	}
	if published, _ := r.Ledger.Latest("kms:publish"); !maps.Equal(report.Digests, published.Outputs) {
		return &fault.Error{Code: fault.Verification, Message: "the public release is not the audited draft",
			Hint: "compare GitHub's digests with dist/*/ledger.jsonl"}
	}
	return writeJSON(r.work(auditFile), auditRecord{Tag: r.Tag.String(), Commit: report.Commit, Assets: report.Digests, Checks: names(report.Results)})
}

func names(results check.Results) []string {
	out := make([]string, 0, len(results))
	for _, result := range results {
		out = append(out, string(result.Status)+": "+result.Name)
	}
	return out
}

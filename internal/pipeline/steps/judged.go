package steps

import (
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// Judged are the variables that the guards of a tag judged, as the ledger in
// dir has them; none before the guards have passed. "The guards' verdict on
// variables belongs to the tag and lies in the ledger; a repository variable
// that moves while an approval is pending changes nothing." Only the variables:
// the files of the commit are judged again by every step that follows.
func Judged(dir string, tag release.Tag) (config.Judged, error) {
	records, err := pipeline.ReadRecords(dir)
	if err != nil {
		return nil, err
	}
	passed, ok := pipeline.Latest(records, tag.Family.Short()+":version")
	if !ok || passed.Event != pipeline.Passed || passed.Tag != tag.String() {
		return nil, nil
	}
	return config.Judged(passed.Inputs), nil
}

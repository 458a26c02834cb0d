package rehearsal

import (
	"github.com/calimero-network/mero-tee/internal/rehearsal/github"
	"github.com/calimero-network/mero-tee/internal/rehearsal/sigstore"

	"cloud.google.com/go/compute/apiv1/computepb"
)

// What a test does that stands outside of a release and not in it.

// Push stands for git push of a branch or a tag, with the files that may be read through GitHub's API.
func (w *World) Push(ref, commit string, files map[string][]byte) error {
	return w.github.Push(ref, commit, files)
}

// GitHub is the local one, for what people and apps do there.
func (w *World) GitHub() *github.Server { return w.github }

// Reviewing lets f stand for the people who are asked to approve a promotion,
// instead of a reviewer who approves.
func (w *World) Reviewing(f func(run int64) error) { w.review = f }

// Sigstore is this world's, started by now.
func (w *World) Sigstore() (*sigstore.Instance, error) { return w.sigstore() }

// CloudKey is the service account's key of the local Compute Engine.
func (w *World) CloudKey() ([]byte, error) {
	s, err := w.cloud()
	if err != nil {
		return nil, err
	}
	return s.Key(), nil
}

// ImportImage puts an image into a project of the local Compute Engine.
func (w *World) ImportImage(project string, i *computepb.Image, tar string) error {
	s, err := w.cloud()
	if err != nil {
		return err
	}
	return s.Import(project, i, tar)
}

// MergePull stands for a person who merges a pull request; see github.Server.MergePull.
func (w *World) MergePull(number int64) (map[string][]byte, error) { return w.github.MergePull(number) }

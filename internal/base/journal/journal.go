// Package journal is how whoever changes something outside says so before and
// after: the one vocabulary of all packages with side effects.
//
// Its promise: an effect whose intent could not be written does not happen, and
// what began without a known end can be found by its kind and subject.
package journal

import "errors"

// Kind says what an effect makes or changes. Its subject is a name within the kind.
type Kind string

// VM, Disk, Image, Deployment and Branch live from their intent until they are gone or,
// an image, until its record is staged: one that is open may have been left behind.
// The others are single changes: one that is open may have been made.
const (
	VM         Kind = "vm"         // at Compute Engine
	Disk       Kind = "disk"       // at Compute Engine
	Image      Kind = "image"      // of a node, at Compute Engine
	Deployment Kind = "deployment" // at the dstack provider

	Push         Kind = "push"         // of the key service's image, to the registry
	Signature    Kind = "signature"    // with its entry in the transparency log
	Draft        Kind = "draft"        // of a release, on GitHub
	Upload       Kind = "upload"       // of an asset
	BrokenAsset  Kind = "broken asset" // of an upload that broke off: it is deleted
	Publication  Kind = "publication"  // of a draft, as a pre-release
	Approval     Kind = "approval"     // of a promotion, recorded: by whom, in which run
	Promotion    Kind = "promotion"    // of a pre-release
	Announcement Kind = "announcement" // of a promotion, to whoever wants to know
	Branch       Kind = "branch"       // of policies shared during E2E, until it is deleted
	Proposal     Kind = "proposal"     // of a change, by a pull request
)

// Kinds lists all kinds.
func Kinds() []Kind {
	return []Kind{VM, Disk, Image, Deployment, Push, Signature, Draft, Upload, BrokenAsset, Publication, Approval,
		Promotion, Announcement, Branch, Proposal}
}

// Lives says that what the kind makes stays until it is deleted.
func (k Kind) Lives() bool {
	return k == VM || k == Disk || k == Image || k == Deployment || k == Branch
}

// Entry is what is written: the intent of an effect or, with Ended, its end. Err
// is why an effect broke off; what it left is not known then.
type Entry struct {
	Kind    Kind
	Subject string
	Ended   bool
	Err     error
}

// String is the entry for people and tests: "begin vm x", "end vm x".
func (e Entry) String() string {
	event := "begin "
	switch {
	case e.Err != nil:
		event = "break off "
	case e.Ended:
		event = "end "
	}
	return event + string(e.Kind) + " " + e.Subject
}

// Journal writes an entry and returns once it is on disk. Nil writes nothing: for
// what a person does by hand, outside a release.
type Journal func(Entry) error

// Begin writes an intent. After an error the effect must not happen.
func (j Journal) Begin(kind Kind, subject string) error {
	return j.write(Entry{Kind: kind, Subject: subject})
}

// End writes that an effect ended: well when err is nil.
func (j Journal) End(kind Kind, subject string, err error) error {
	return j.write(Entry{Kind: kind, Subject: subject, Ended: true, Err: err})
}

func (j Journal) write(e Entry) error {
	if j == nil {
		return nil
	}
	return j(e)
}

// Do makes a single change between its intent and its end.
func (j Journal) Do(kind Kind, subject string, effect func() error) error {
	if err := j.Begin(kind, subject); err != nil {
		return err
	}
	err := effect()
	return errors.Join(err, j.End(kind, subject, err))
}

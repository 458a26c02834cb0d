package release

// Patches says whether v is a patch bump of o: a final version of the same X.Y
// with a higher Z. A number that was skipped does not make it something else.
func (v Version) Patches(o Version) bool {
	return !v.IsCandidate() && !o.IsCandidate() && v.Major == o.Major && v.Minor == o.Minor && v.Patch > o.Patch
}

// NextMinor is the smallest final version of the next X.Y: what newer work of main is released as.
func (v Version) NextMinor() Version { return Version{Major: v.Major, Minor: v.Minor + 1} }

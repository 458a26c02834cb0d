package release

import "iter"

// Highest is the family's tag of the highest version that fits, among names
// which may be anything; the zero Tag when there is none.
func Highest(f Family, names iter.Seq[string], fits func(Version) bool) Tag {
	var highest Tag
	for name := range names {
		t, err := ParseTag(name)
		if err != nil || t.Family != f || !fits(t.Version) {
			continue
		}
		if highest.IsZero() || t.Version.Compare(highest.Version) > 0 {
			highest = t
		}
	}
	return highest
}

package github

// lateReads is how many reads of each kind miss what was just published. GitHub
// names no number: it is seconds, on some of its machines.
const lateReads = 2

// The kinds of reads that are late, each for itself.
const (
	readByID       = "id"
	readByTag      = "tag"
	readList       = "list"
	readRef        = "ref"
	readAsset      = "asset"
	publicDownload = "download"
)

// published begins the time in which reads of a release are late.
func (s *Server) published(rel *release) {
	if s.prompt {
		return
	}
	s.late[rel.ID] = map[string]int{readByID: lateReads, readByTag: lateReads, readList: lateReads, readRef: lateReads,
		readAsset: lateReads, publicDownload: lateReads}
}

// isLate says whether this read of a release still misses its publication, and counts it.
func (s *Server) isLate(rel *release, kind string) bool {
	left := s.late[rel.ID]
	if left[kind] == 0 {
		return false
	}
	left[kind]--
	return true
}

// asBefore is a release as it was before its publication.
func asBefore(rel *release) *release {
	old := *rel
	old.Draft, old.PublishedAt = true, ""
	return &old
}

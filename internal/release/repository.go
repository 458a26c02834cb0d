package release

import "regexp"

// GitHub's rules for owners and repositories, so that a repository is always two path segments.
var repositoryForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$`)

// ValidRepository says whether the name can be that of a repository on GitHub, "owner/name".
func ValidRepository(name string) bool { return repositoryForm.MatchString(name) }

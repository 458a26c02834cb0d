package image

// PackageVersions lists the packages as "name version".
func (r *Record) PackageVersions() []string {
	out := make([]string, 0, len(r.Packages))
	for _, p := range r.Packages {
		out = append(out, p.Name+" "+p.Version)
	}
	return out
}

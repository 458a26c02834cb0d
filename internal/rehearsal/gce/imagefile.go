package gce

import "path/filepath"

// ImageFile is where the bytes of an image's disk are, if the Compute Engine
// whose folder is state has that image: a raw file that nobody may write to.
func ImageFile(state, project, name string) string { return imageFile(state, project, name, raw) }

func imageFile(state, project, name, ending string) string {
	return filepath.Join(state, "images", project, name+ending)
}

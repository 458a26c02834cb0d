// Package image builds, pushes, inspects and unpacks the key service's
// container images.
//
// Its promise: the same sources, Dockerfile and commit give the same bytes on
// any machine, whatever its umask, clock, folder or environment; a pushed tag
// never moves; and what Inspect and Unpack return was read back from the
// registry and matches the digest that was asked for.
package image

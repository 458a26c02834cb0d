// Package chroot runs the instances of the rehearsal's Compute Engine on one
// Linux machine: each is a root file system in a chroot, in mount, process,
// UTS and IPC namespaces of its own.
//
// Its promise: a build VM is reached by SSH as Google's guest agent would have
// set it up; a confidential VM measures what its disk holds into a simulated
// TD before it runs anything, boots a verified root only when every block of
// it verifies, and then runs the image's own one-shot units; no process and no
// mount outlives Stop or this program, and none is ever seen outside.
//
// It is no security boundary: an instance shares the network, and whoever is
// root in it can find a way out of a chroot. It runs what this repository builds.
package chroot

// Package measurement is the contract of published-mrtds.json: what a release
// of either family says about the registers its machines show, who owns each
// register, and what proves it.
//
// Its promise: a file that Decode accepts is canonical and complete (three
// profiles, no zero register, every value that can be recomputed was
// recomputed), and the same inputs predict the same bytes on any machine.
package measurement

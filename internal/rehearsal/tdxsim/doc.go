// Package tdxsim is a TDX platform in software: a certificate hierarchy shaped
// like Intel's, machines with quoting enclaves, TDs whose registers only move by
// extension, quotes of version 4 and 5, and Intel's provisioning certification
// service as an http.Handler with faults to turn on.
//
// Its promise: a verifier that pins the simulator's root sees everything it
// would see of real hardware, byte layouts included; one that pins Intel's
// refuses all of it; and every certificate says that it comes from a simulator.
// It shares no parser with the verifier, and the same seed gives the same bytes.
package tdxsim

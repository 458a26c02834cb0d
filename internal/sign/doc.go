// Package sign signs release assets keylessly and verifies their signatures:
// Fulcio certificates, Rekor entries, RFC 3161 timestamps, Sigstore bundles v0.3.
//
// Its promise: what it verifies was signed by exactly one workflow file of one
// repository, run for exactly one tag on a GitHub-hosted runner, while its
// certificate was valid, in a log of the given trusted root; names are compared
// as whole strings, never by pattern. There is one verifier, and the signer,
// the auditor and the stranger use it.
package sign

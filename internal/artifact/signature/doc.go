// Package signature verifies keyless signatures: Sigstore bundles v0.3 with a
// Fulcio certificate, a Rekor entry and an RFC 3161 timestamp.
//
// Its promise: what it verifies was signed by exactly one workflow file of one
// repository, run for exactly one tag on a GitHub-hosted runner, while its
// certificate was valid, in a log of the given trusted root; names are compared
// as whole strings, never by pattern. There is one verifier: the signer, the
// auditor, the stranger and the key service use it. It imports no signer, no
// TUF client of its own and nothing of cosign, so that a small program can.
package signature

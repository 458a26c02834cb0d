// Package kms is the key service: it releases a node's storage key to the node
// that proves, with a fresh TDX quote bound to its peer ID, that it runs what
// the attestation policy allows.
//
// Its promise: no key leaves without a genuine quote under the one configured
// root, the nonce of a challenge used for the first time, the signature of the
// peer that the key is for, and a policy that admits the quote. Whatever is
// missing or unclear means no key.
//
// A key request carries no event log: the policy judges whole tuples of register
// values, which a log could only explain.
//
// The service measures no event of its own into RTMR3. dstack offers EmitEvent,
// but what it extends comes after system-ready, where verifiers trust nothing,
// and a restarted container would measure it twice. The profile is bound
// by the compose hash instead: MERO_KMS_PROFILE stands in the compose file that
// dstack measures before the container starts.
package kms

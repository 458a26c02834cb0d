//go:build mage

// Mero-tee builds, measures, signs, publishes and audits the releases of the
// key service (mero-kms) and of the node images (mero-tee). Without
// MERO_ENVIRONMENT=production everything below is rehearsed on this machine:
// through production's own code, on loopback, with nothing published.
package main

import "github.com/magefile/mage/mg"

// Release runs a whole pipeline and shows how far one got.
type Release mg.Namespace

// KMS has the single steps of a key service release.
type KMS mg.Namespace

// Verify checks what others released.
type Verify mg.Namespace

// Guard runs the guards alone.
type Guard mg.Namespace

// Rehearse looks after the local world.
type Rehearse mg.Namespace

// Aliases are the names that the spec's scripts had.
var Aliases = map[string]any{
	"BuildKMS":            KMS.Build,
	"GenPolicy":           KMS.Policy,
	"Publish":             KMS.Publish,
	"Audit":               KMS.Audit,
	"BuildNode":           Node.Build,
	"CollectMeasurements": Node.Measure,
}

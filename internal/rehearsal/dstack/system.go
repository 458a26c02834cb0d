package dstack

import (
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

// shape is the instance type whose registers Platform tells.
const shape = "tdx.small"

// firmware is what MRTD measures.
const firmware = "mero-tee rehearsal: dstack firmware"

// measured is one event of the boot of the simulated operating system.
type measured struct {
	rtmr int
	kind uint32
	data string
}

// bootEvents are constant but for the VM's shape, as RTMR0 is on real machines.
func bootEvents(instanceType string) []measured {
	const separator, hob, acpi, loader, kernel = 0x4, 0x8000000b, 0xa, 0x80000003, 0x6
	return []measured{
		{0, hob, "mero-tee rehearsal: VM of shape " + instanceType},
		{0, acpi, "mero-tee rehearsal: ACPI tables"},
		{0, separator, "\x00\x00\x00\x00"},
		{1, loader, "mero-tee rehearsal: dstack kernel"},
		{1, separator, "\x00\x00\x00\x00"},
		{2, kernel, "mero-tee rehearsal: dstack kernel command line"},
		{2, kernel, "mero-tee rehearsal: dstack initrd"},
	}
}

// Platform is what the simulated operating system measures, in the shape of
// dstack-platform.json: the rehearsal's counterpart of that file.
func Platform() measurement.Platform {
	var rtmr [3]tdx.Register
	for _, e := range bootEvents(shape) {
		rtmr[e.rtmr] = rtmr[e.rtmr].Extend(sha512.Sum384([]byte(e.data)))
	}
	return measurement.Platform{
		SchemaVersion: measurement.SchemaVersion, Platform: "dstack", Cluster: "rehearsal", VMShape: shape,
		MRTD: sha512.Sum384([]byte(firmware)), RTMR0: rtmr[0], RTMR1: rtmr[1], RTMR2: rtmr[2],
		Source: "internal/rehearsal/dstack: a simulated operating system, not real hardware",
	}
}

// boot starts a TD and measures into it what dstack does before it runs an application.
func (c *cvm) boot(machine *tdxsim.Platform, keyProvider string) error {
	c.td = machine.NewTD(sha512.Sum384([]byte(firmware)))
	options, err := c.logOptions()
	if err != nil {
		return err
	}
	c.log = tdxsim.NewEventLog(c.td, options...)
	var errs []error
	for _, e := range bootEvents(c.instanceType) {
		errs = append(errs, c.log.Measure(e.rtmr, e.kind, []byte(e.data)))
	}
	system, err := c.system(keyProvider)
	return errors.Join(append(errs, err, c.log.Start(system))...)
}

// vmConfig is dstack's JSON about the machine.
func (c *cvm) vmConfig() string {
	return fmt.Sprintf(`{"spec_version":1,"instance_type":%q,"os_image_hash":%q}`, c.instanceType, osImageHash())
}

// osImageHash names the simulated operating system: MRTD and RTMR1 and RTMR2, hashed.
func osImageHash() string {
	p := Platform()
	sum := digest.Of([]byte(p.MRTD.String() + p.RTMR1.String() + p.RTMR2.String()))
	return hex.EncodeToString(sum[:])
}

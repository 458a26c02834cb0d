package dstack

import (
	"crypto/sha512"
	"errors"
	"fmt"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

// shape is the instance type that the key service is deployed on.
const shape = "tdx.small"

// firmware is what MRTD measures.
const firmware = "mero-tee rehearsal: dstack firmware"

// measured is one event of the boot of the simulated operating system.
type measured struct {
	rtmr int
	kind uint32
	data string
}

// images are the operating systems that the provider offers, newest first. The
// newest is the one that it takes when a deployment names none.
func images() []string { return []string{"dstack-0.5.11", "dstack-0.5.9", "dstack-0.5.8"} }

// bootEvents depend on the VM's shape in RTMR0, and on the OS image in RTMR1 and
// RTMR2, as on real machines.
func bootEvents(instanceType, image string) []measured {
	const separator, hob, acpi, loader, kernel = 0x4, 0x8000000b, 0xa, 0x80000003, 0x6
	return []measured{
		{0, hob, "mero-tee rehearsal: VM of shape " + instanceType},
		{0, acpi, "mero-tee rehearsal: ACPI tables"},
		{0, separator, "\x00\x00\x00\x00"},
		{1, loader, "mero-tee rehearsal: kernel of " + image},
		{1, separator, "\x00\x00\x00\x00"},
		{2, kernel, "mero-tee rehearsal: kernel command line of " + image},
		{2, kernel, "mero-tee rehearsal: initrd of " + image},
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
	for _, e := range bootEvents(c.instanceType, c.image) {
		errs = append(errs, c.log.Measure(e.rtmr, e.kind, []byte(e.data)))
	}
	system, err := c.system(keyProvider)
	return errors.Join(append(errs, err, c.log.Start(system))...)
}

// vmConfig is dstack's JSON about the machine.
func (c *cvm) vmConfig() string {
	return fmt.Sprintf(`{"spec_version":1,"instance_type":%q,"os_image_hash":%q,"image":%q}`, c.instanceType,
		osImageHash(c.image).Hex(), c.image)
}

// osImageHash names a simulated operating system; the real one hashes the list of its files.
func osImageHash(image string) digest.Digest {
	return digest.Of([]byte("mero-tee rehearsal: files of " + image))
}

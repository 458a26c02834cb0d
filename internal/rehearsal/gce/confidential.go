package gce

import (
	"encoding/json"
	"strings"

	compute "google.golang.org/api/compute/v1"
)

// checkConfidential refuses a TDX VM that could not be one. Google's words for
// the image are those of a live answer of 2024; the others are like them.
func checkConfidential(resource *compute.Instance, boot *compute.Disk) error {
	if !confidential(resource) {
		return nil
	}
	config, _ := json.Marshal(resource.ConfidentialInstanceConfig) // the API's types always marshal
	const field = "resource.confidentialInstanceConfig"
	switch {
	case !strings.HasPrefix(last(resource.MachineType), "c3-standard-"):
		return invalid(field, string(config), "Confidential Instance Config with TDX is not supported on machine type %s.", last(resource.MachineType))
	case resource.Scheduling.OnHostMaintenance != "TERMINATE":
		return invalid("resource.scheduling.onHostMaintenance", resource.Scheduling.OnHostMaintenance,
			"Confidential instances with TDX must have onHostMaintenance set to TERMINATE.")
	case !hasFeature(boot.GuestOsFeatures, "TDX_CAPABLE"):
		return invalid(field, string(config), "Confidential Instance Config can only be set when using a TDX compatible image.")
	}
	return nil
}

func confidential(resource *compute.Instance) bool {
	c := resource.ConfidentialInstanceConfig
	return c != nil && c.ConfidentialInstanceType == "TDX"
}

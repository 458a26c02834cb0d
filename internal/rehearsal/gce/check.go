package gce

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	compute "google.golang.org/api/compute/v1"
)

const (
	maxValue    = 256 << 10 // bytes of one metadata value or guest attribute
	maxMetadata = 512 << 10 // of all metadata of an instance
	minLimit    = 30        // seconds of maxRunDuration
	maxLimit    = 120 * 24 * 3600
)

var metadataKey = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,128}$`)

// series is a machine type's, such as c3.
func series(resource *compute.Instance) string {
	name, _, _ := strings.Cut(last(resource.MachineType), "-")
	return name
}

// checkInstance refuses what the API refuses before it starts an operation.
func (s *Server) checkInstance(resource *compute.Instance) error {
	if err := checkName("resource.name", resource.Name); err != nil {
		return err
	}
	if s.instances[resource.Name] != nil {
		return exists(s.zonal("instances", resource.Name))
	}
	if err := checkLabels(resource.Labels); err != nil {
		return err
	}
	if _, _, ok := machineType(last(resource.MachineType)); !ok {
		return invalid("resource.machineType", resource.MachineType, "The referenced machine type cannot be found.")
	}
	if len(resource.Disks) == 0 || !resource.Disks[0].Boot {
		return invalid("resource.disks", "", "At least one boot disk is required, and it must be the first.")
	}
	if err := checkNetwork(resource); err != nil {
		return err
	}
	if resource.Metadata == nil {
		resource.Metadata = &compute.Metadata{}
	}
	if err := checkMetadata(resource.Metadata); err != nil {
		return err
	}
	return checkScheduling(resource)
}

// checkNetwork also takes out the null that Packer sends for no external address.
func checkNetwork(resource *compute.Instance) error {
	if len(resource.NetworkInterfaces) == 0 {
		return invalid("resource.networkInterfaces", "", "At least one network interface is required.")
	}
	for _, nic := range resource.NetworkInterfaces {
		if nic.Network != "" && last(nic.Network) != "default" || nic.Subnetwork != "" && last(nic.Subnetwork) != "default" {
			return invalid("resource.networkInterfaces[0].network", nic.Network, "The referenced network resource cannot be found.")
		}
		nic.AccessConfigs = slices.DeleteFunc(nic.AccessConfigs, func(a *compute.AccessConfig) bool { return a == nil })
	}
	return nil
}

func checkMetadata(metadata *compute.Metadata) error {
	seen, size := map[string]bool{}, 0
	for _, item := range metadata.Items {
		if item.Value == nil {
			item.Value = new(string)
		}
		if !metadataKey.MatchString(item.Key) {
			return invalid("metadata.items[].key", item.Key, "Must be a match of regex '[a-zA-Z0-9-_]{1,128}'")
		}
		if seen[item.Key] {
			return invalid("metadata", item.Key, "Duplicate metadata key.")
		}
		seen[item.Key], size = true, size+len(item.Key)+len(*item.Value)
		if len(*item.Value) > maxValue || size > maxMetadata {
			return refuse(http.StatusRequestEntityTooLarge, "uploadTooLarge", "Metadata value of '%s' is too large.", item.Key)
		}
	}
	return nil
}

func checkScheduling(resource *compute.Instance) error {
	if resource.Scheduling == nil {
		resource.Scheduling = &compute.Scheduling{}
	}
	sched := resource.Scheduling
	if sched.OnHostMaintenance == "" {
		sched.OnHostMaintenance = map[bool]string{true: "TERMINATE", false: "MIGRATE"}[sched.Preemptible]
	}
	if sched.OnHostMaintenance == "TERMINATE" && series(resource) == "e2" && !sched.Preemptible {
		return refuse(http.StatusBadRequest, "badRequest", "e2 instances do not support onHostMaintenance=TERMINATE unless they are preemptible.")
	}
	if d := sched.MaxRunDuration; d != nil && (d.Seconds < minLimit || d.Seconds > maxLimit) {
		return invalid("resource.scheduling.maxRunDuration", strconv.FormatInt(d.Seconds, 10), "Must be between 30 seconds and 120 days.")
	}
	switch sched.InstanceTerminationAction {
	case "", "STOP", "DELETE":
		return nil
	}
	return invalid("resource.scheduling.instanceTerminationAction", sched.InstanceTerminationAction, "Unknown termination action.")
}

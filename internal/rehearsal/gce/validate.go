package gce

import (
	"cmp"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/encoding/protojson"
)

const (
	maxValue    = 256 << 10 // bytes of one metadata value or guest attribute
	maxMetadata = 512 << 10 // of all metadata of an instance
	minLimit    = 30        // seconds of maxRunDuration
	maxLimit    = 120 * 24 * 3600
)

var metadataKey = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,128}$`)

// series is a machine type's, such as c3.
func series(in *computepb.Instance) string {
	name, _, _ := strings.Cut(last(in.GetMachineType()), "-")
	return name
}

// checkInstance refuses what the API refuses before it starts an operation.
func (s *Server) checkInstance(in *computepb.Instance) error {
	if err := checkName("resource.name", in.GetName()); err != nil {
		return err
	}
	if path := s.zonal("instances", in.GetName()); s.resources[path] != nil {
		return exists(path)
	}
	if err := checkLabels(in.Labels); err != nil {
		return err
	}
	name := last(in.GetMachineType())
	if _, _, ok := machineType(name); !ok {
		return invalid("resource.machineType", in.GetMachineType(),
			"Machine type with name '%s' does not exist in zone '%s'.", name, s.options.Zone)
	}
	if err := cmp.Or(checkAttached(in), checkNetwork(in)); err != nil {
		return err
	}
	if in.Metadata == nil {
		in.Metadata = &computepb.Metadata{}
	}
	if err := checkMetadata(in.Metadata); err != nil {
		return err
	}
	return checkScheduling(in)
}

func checkNetwork(in *computepb.Instance) error {
	if len(in.NetworkInterfaces) == 0 {
		return invalid("resource.networkInterfaces", "", "At least one network interface is required.")
	}
	for _, nic := range in.NetworkInterfaces {
		if kind := nic.GetNicType(); series(in) == "c3" && kind != "" && kind != "GVNIC" {
			return invalid("resource.networkInterfaces[0].nicType", kind, "C3 machines have gVNIC interfaces alone.")
		}
		for _, link := range []string{nic.GetNetwork(), nic.GetSubnetwork()} {
			if link != "" && last(link) != "default" {
				return invalid("resource.networkInterfaces[0].network", nic.GetNetwork(),
					"The referenced network resource cannot be found.")
			}
		}
	}
	return nil
}

func checkMetadata(metadata *computepb.Metadata) error {
	seen, size := map[string]bool{}, 0
	for _, item := range metadata.Items {
		key, length := item.GetKey(), len(item.GetValue())
		item.Value = new(item.GetValue())
		if !metadataKey.MatchString(key) {
			return invalid("metadata.items[].key", key, "Must be a match of regex '[a-zA-Z0-9-_]{1,128}'")
		}
		if seen[key] {
			return invalid("metadata", key, "Duplicate metadata key.")
		}
		seen[key], size = true, size+len(key)+length
		if length > maxValue || size > maxMetadata {
			return refuse(http.StatusRequestEntityTooLarge, "uploadTooLarge", "Metadata value of '%s' is too large.", key)
		}
	}
	return nil
}

func checkScheduling(in *computepb.Instance) error {
	if in.Scheduling == nil {
		in.Scheduling = &computepb.Scheduling{}
	}
	sched := in.Scheduling
	if sched.GetOnHostMaintenance() == "" {
		sched.OnHostMaintenance = new("MIGRATE")
		if sched.GetPreemptible() {
			sched.OnHostMaintenance = new("TERMINATE")
		}
	}
	if sched.GetOnHostMaintenance() == "TERMINATE" && series(in) == "e2" && !sched.GetPreemptible() {
		return refuse(http.StatusBadRequest, "badRequest",
			"e2 instances do not support onHostMaintenance=TERMINATE unless they are preemptible.")
	}
	d := sched.MaxRunDuration
	if d != nil && (d.GetSeconds() < minLimit || d.GetSeconds() > maxLimit) {
		return invalid("resource.scheduling.maxRunDuration", strconv.FormatInt(d.GetSeconds(), 10),
			"Must be between 30 seconds and 120 days.")
	}
	if action := sched.GetInstanceTerminationAction(); action != "DELETE" && (action != "" || d != nil) {
		return invalid("resource.scheduling.instanceTerminationAction", action,
			"Unknown termination action: the rehearsal deletes after maxRunDuration.")
	}
	return nil
}

// checkBoots refuses a boot disk for other processors: all machine types here are
// x86. The words are those of a live answer, the other way round.
func checkBoots(boot *computepb.Disk) error {
	if boot.GetArchitecture() != arm {
		return nil
	}
	return refuse(http.StatusBadRequest, "invalid", "Invalid resource usage: 'Requested boot disk architecture (%s) is "+
		"not compatible with machine type architecture (%s).'.", arm, x86)
}

// checkConfidential refuses a TDX VM that could not be one. Google's words for
// the image are those of a live answer of 2024; the others are like them.
func checkConfidential(in *computepb.Instance, boot *computepb.Disk) error {
	if !confidential(in) {
		return nil
	}
	config, _ := protojson.Marshal(in.ConfidentialInstanceConfig) // it came out of JSON
	const field = "resource.confidentialInstanceConfig"
	machine, maintenance := last(in.GetMachineType()), in.Scheduling.GetOnHostMaintenance()
	switch {
	case !strings.HasPrefix(machine, "c3-standard-"):
		return invalid(field, string(config), "Confidential Instance Config with TDX is not supported on machine type %s.",
			machine)
	case maintenance != "TERMINATE":
		return invalid("resource.scheduling.onHostMaintenance", maintenance,
			"Confidential instances with TDX must have onHostMaintenance set to TERMINATE.")
	case !hasFeature(boot.GuestOsFeatures, "TDX_CAPABLE"):
		return invalid(field, string(config),
			"Confidential Instance Config can only be set when using a TDX compatible image.")
	case boot.GetArchitecture() != x86:
		return invalid(field, string(config), "The image does not say its architecture, which the rehearsal demands.")
	}
	return nil
}

func confidential(in *computepb.Instance) bool {
	return in.GetConfidentialInstanceConfig().GetConfidentialInstanceType() == "TDX"
}

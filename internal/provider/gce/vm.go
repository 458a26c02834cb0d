package gce

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// The labels of everything that is made here; `mage sweep` finds it by them.
const (
	LabelOwner   = "owner"
	LabelRun     = "run"     // see RunLabel
	LabelExpires = "expires" // seconds since 1970, after which nothing needs it any more

	Owner = "mero-tee" // the value of LabelOwner
)

// The API bounds maxRunDuration by these.
const (
	shortestRun = 30 * time.Second
	longestRun  = 120 * 24 * time.Hour
)

// grace is what a VM may take to start and to stop, besides its time to run.
const grace = 10 * time.Minute

// VM is a confidential VM to be booted.
type VM struct {
	Name     string            // see Name
	Image    string            // self link
	Labels   map[string]string // LabelRun is mandatory; owner and expires are added
	Metadata map[string]string // instance attributes
	MaxRun   time.Duration     // after which Compute Engine deletes the VM by itself
}

// Name is a new name for a VM: mero-{purpose}-{profile}-{8 hex digits}.
func Name(purpose string, p release.Profile) string {
	var random [4]byte
	_, _ = rand.Read(random[:]) // never fails
	return fmt.Sprintf("mero-%s-%s-%s", purpose, p, hex.EncodeToString(random[:]))
}

// RunLabel makes a label's value of what names a run: tag, step, profile. A
// run that is begun again has the same one.
func RunLabel(parts ...string) string {
	value := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '-'
	}, strings.ToLower(strings.Join(parts, "-")))
	return value[:min(len(value), 63)]
}

var (
	vmName    = regexp.MustCompile(`^[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?$`)
	labelText = regexp.MustCompile(`^[-_a-z0-9]{1,63}$`)
)

func (v *VM) check() error {
	refuse := func(what, got string) error {
		return &fault.Error{Code: fault.Usage, Message: "not a VM that can be booted: " + what, Got: strconv.Quote(got)}
	}
	switch {
	case !vmName.MatchString(v.Name):
		return refuse("its name", v.Name)
	case !strings.Contains(v.Image, "/images/"):
		return refuse("its image is no self link", v.Image)
	case v.Labels[LabelRun] == "":
		return refuse("it has no label", LabelRun)
	case v.MaxRun < shortestRun || v.MaxRun > longestRun:
		return refuse("its longest run", v.MaxRun.String())
	}
	for key, value := range v.Labels {
		if !labelText.MatchString(key) || !labelText.MatchString(value) {
			return refuse("a label", key+"="+value)
		}
	}
	return nil
}

// labels are the VM's and its disk's.
func (v *VM) labels(now time.Time) map[string]string {
	out := maps.Clone(v.Labels)
	out[LabelOwner] = Owner
	out[LabelExpires] = strconv.FormatInt(now.Add(v.MaxRun+grace).Unix(), 10)
	return out
}

// metadata is the VM's, in which no attribute of the caller's opens a way in.
func (v *VM) metadata() *computepb.Metadata {
	all := map[string]string{}
	maps.Copy(all, v.Metadata)
	all["enable-guest-attributes"] = "TRUE"
	all["serial-port-enable"] = "FALSE" // the interactive console; its output can be read all the same
	all["block-project-ssh-keys"] = "TRUE"
	out := &computepb.Metadata{}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		out.Items = append(out.Items, &computepb.Items{Key: proto.String(key), Value: proto.String(all[key])})
	}
	return out
}

// instance is the request to boot v. It has no external address and no service
// account: nobody reaches the VM, and the VM can do nothing in the project.
func (c *Client) instance(v *VM) *computepb.Instance {
	labels := v.labels(time.Now())
	return &computepb.Instance{
		Name: proto.String(v.Name), Labels: labels, Metadata: v.metadata(),
		MachineType: proto.String("zones/" + c.zone + "/machineTypes/" + c.machine),
		ConfidentialInstanceConfig: &computepb.ConfidentialInstanceConfig{
			ConfidentialInstanceType: proto.String(computepb.ConfidentialInstanceConfig_TDX.String()),
		},
		// Said, though both are the default: RTMR2 depends on the TPM (a kernel without one
		// measures its command line there too), RTMR1 and RTMR0 on Secure Boot.
		ShieldedInstanceConfig: &computepb.ShieldedInstanceConfig{EnableVtpm: proto.Bool(true),
			EnableSecureBoot: proto.Bool(false)},
		Scheduling: &computepb.Scheduling{
			OnHostMaintenance:         proto.String(computepb.Scheduling_TERMINATE.String()),
			AutomaticRestart:          proto.Bool(false),
			MaxRunDuration:            &computepb.Duration{Seconds: proto.Int64(int64(v.MaxRun.Seconds()))},
			InstanceTerminationAction: proto.String(computepb.Scheduling_DELETE.String()),
		},
		Disks: []*computepb.AttachedDisk{{
			Boot: proto.Bool(true), AutoDelete: proto.Bool(true),
			Interface: proto.String(computepb.AttachedDisk_NVME.String()),
			InitializeParams: &computepb.AttachedDiskInitializeParams{SourceImage: proto.String(v.Image), Labels: labels,
				DiskType: proto.String("zones/" + c.zone + "/diskTypes/" + bootDisk(c.machine))},
		}},
		NetworkInterfaces: []*computepb.NetworkInterface{{
			Network: proto.String("global/networks/default"),
			NicType: proto.String(computepb.NetworkInterface_GVNIC.String()),
		}},
	}
}

// bootDisk is the type of disk that a machine type with TDX boots from. The API's
// own default is pd-standard, which none of them takes; those after C3 take no
// persistent disk at all.
func bootDisk(machine string) string {
	if strings.HasPrefix(machine, "c3-") {
		return "pd-balanced"
	}
	return "hyperdisk-balanced"
}

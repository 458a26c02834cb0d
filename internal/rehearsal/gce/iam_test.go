package gce_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/journal"
	provider "github.com/calimero-network/mero-tee/internal/provider/gce"
	"github.com/calimero-network/mero-tee/internal/provider/gce/guestattr"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce"
	"github.com/calimero-network/mero-tee/internal/release"
)

// users are those who work with the project's account, one after the other;
// each works under names of its own in each round.
var users = []struct {
	name string
	work func(w *world, c *provider.Client, round int) error
}{
	{"Packer", func(w *world, _ *provider.Client, round int) error { return w.packer(fmt.Sprintf("packer-%d", round)) }},
	{"measuring", (*world).measure},
	{"looking", (*world).look},
	{"sweeping", (*world).sweep},
}

// needed says whose work ends without each permission of the role in docs/releasing.md.
var needed = map[string]string{
	"compute.disks.create":                  "Packer, measuring",
	"compute.disks.delete":                  "Packer, measuring, sweeping",
	"compute.disks.list":                    "sweeping",
	"compute.disks.setLabels":               "measuring",
	"compute.disks.useReadOnly":             "Packer",
	"compute.globalOperations.get":          "Packer, sweeping",
	"compute.images.create":                 "Packer",
	"compute.images.delete":                 "sweeping",
	"compute.images.deprecate":              "Packer",
	"compute.images.get":                    "Packer, looking",
	"compute.images.list":                   "sweeping",
	"compute.images.setLabels":              "Packer",
	"compute.images.useReadOnly":            "measuring",
	"compute.instances.create":              "Packer, measuring",
	"compute.instances.delete":              "Packer, measuring, sweeping",
	"compute.instances.get":                 "Packer, measuring",
	"compute.instances.getGuestAttributes":  "measuring",
	"compute.instances.getSerialPortOutput": "Packer, measuring",
	"compute.instances.list":                "sweeping",
	"compute.instances.setLabels":           "Packer, measuring",
	"compute.instances.setMetadata":         "Packer, measuring",
	"compute.machineTypes.get":              "Packer",
	"compute.projects.get":                  "Packer",
	"compute.subnetworks.use":               "Packer, measuring",
	"compute.subnetworks.useExternalIp":     "Packer",
	"compute.zoneOperations.get":            "Packer, measuring, sweeping",
	"compute.zones.get":                     "Packer",
}

// documented is the role that docs/releasing.md has people make.
func documented(t *testing.T) []string {
	t.Helper()
	page, err := os.ReadFile("../../../docs/releasing.md")
	require.NoError(t, err)
	_, role, ok := strings.Cut(string(page), "gcloud iam roles create ")
	require.True(t, ok)
	role, _, _ = strings.Cut(role, "gcloud ")
	all := regexp.MustCompile(`compute\.\w+\.\w+`).FindAllString(role, -1)
	slices.Sort(all)
	return all
}

// A release, doctor and sweep need each permission of the documented role, and no other.
func TestTheRoleIsExact(t *testing.T) {
	t.Parallel()
	role := documented(t)
	require.Equal(t, slices.Sorted(maps.Keys(needed)), role)
	require.Equal(t, provider.ReleasePermissions(), role)
	w := openWorldAs(t, t.TempDir(), role)
	require.NoError(t, w.server.Import(ours, &computepb.Image{Name: new("built"), GuestOsFeatures: features("TDX_CAPABLE")},
		w.base()))
	w.machines.guest = func(ctx context.Context, spec gce.Spec) {
		m := &guestattr.Metadata{Host: spec.Metadata, HTTP: http.DefaultClient, Wait: noWait}
		_ = m.Publish(ctx, guestattr.Namespace, guestattr.ReportName, []byte("{}")) // who waits for it says so
	}
	c, err := provider.New(t.Context(), provider.Options{Project: ours, Zone: zone, Key: w.server.Key(),
		Transport: w.plain.Transport, Wait: noWait, Journal: func(journal.Entry) error { return nil }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	for round, permission := range append([]string{""}, role...) {
		w.server.SetFaults(gce.Faults{Denied: []string{permission}})
		var stopped []string
		for _, user := range users {
			if err := user.work(w, c, round); err != nil {
				require.ErrorContains(t, err, "Required '"+permission+"' permission for 'projects/"+ours, user.name)
				stopped = append(stopped, user.name)
			}
		}
		require.Equal(t, needed[permission], strings.Join(stopped, ", "), permission)
	}
}

func noWait(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// finish waits for the end of an operation, as Packer does.
func (w *world) finish(op *computepb.Operation, err error) error {
	for err == nil && op.GetStatus() != computepb.Operation_DONE {
		op, err = w.operation(op)
	}
	if err == nil && op.Error != nil {
		err = errors.New(op.Error.Errors[0].GetMessage())
	}
	return err
}

// packer makes an image as the googlecompute builder does: these are its calls, in its order.
func (w *world) packer(name string) error {
	source, err := w.publicImage("ubuntu-os-cloud", "ubuntu-1")
	if err != nil {
		return err
	}
	keys := "packer:ssh-ed25519 AAAA packer"
	in := &computepb.Instance{Name: new(name), MachineType: new("zones/" + zone + "/machineTypes/c3-standard-4"),
		Labels: map[string]string{"owner": "mero-tee"},
		Disks: []*computepb.AttachedDisk{{Type: new("PERSISTENT"), Mode: new("READ_WRITE"), Boot: new(true),
			InitializeParams: &computepb.AttachedDiskInitializeParams{SourceImage: source.SelfLink, DiskName: new(name),
				DiskSizeGb: new(int64(20)), DiskType: new("zones/" + zone + "/diskTypes/pd-balanced")}}},
		Metadata: &computepb.Metadata{Items: []*computepb.Items{{Key: new("ssh-keys"), Value: &keys}}},
		NetworkInterfaces: []*computepb.NetworkInterface{{Network: new("global/networks/default"),
			AccessConfigs: []*computepb.AccessConfig{{Type: new("ONE_TO_ONE_NAT")}}}},
		Scheduling:      &computepb.Scheduling{OnHostMaintenance: new("TERMINATE")},
		ServiceAccounts: []*computepb.ServiceAccount{{}}, Tags: &computepb.Tags{}}
	image := &computepb.Image{Name: new(name), Labels: in.Labels, SourceDisk: new("/compute/v1/" + path("disks", name))}
	for _, step := range []func() error{
		func() error { return found(w.image("built")) }, // the check that no image has the name
		func() error { return found(get(w, "projects/"+ours, &computepb.Project{})) },
		w.zone,
		func() error { return found(get(w, path("machineTypes", "c3-standard-4"), &computepb.MachineType{})) },
		func() error { return w.finish(w.insert(in)) },
		func() error { return found(w.instance(name)) },
		func() error { return found(w.serial(name)) },
		func() error { return w.finish(w.delete(path("instances", name))) },
		func() error { return w.finish(w.insertImage(image)) },
		func() error { return w.finish(w.deprecate(name, &computepb.DeprecationStatus{})) },
		func() error { return w.finish(w.delete(path("disks", name))) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func found(_ any, err error) error { return err }

func (w *world) publicImage(owner, name string) (*computepb.Image, error) {
	return get(w, "projects/"+owner+"/global/images/"+name, &computepb.Image{})
}

// measure boots the image as production does, reads its report, and the console
// of a VM that does not report.
func (w *world) measure(c *provider.Client, _ int) error {
	ctx := w.Context()
	spec := provider.RunSpec{Purpose: "measure", Profile: release.Debug, Run: "a-run",
		Image: "projects/" + ours + "/global/images/built", MaxRun: time.Hour, Wait: time.Minute}
	if _, err := c.Run(ctx, spec); err != nil {
		return err
	}
	i, err := c.Boot(ctx, provider.VM{Name: provider.Name("measure", release.Debug), Image: spec.Image, MaxRun: spec.MaxRun,
		Labels: map[string]string{provider.LabelRun: spec.Run}})
	if err != nil {
		return err
	}
	_, err = c.Serial(ctx, i.Name)
	return errors.Join(err, c.Delete(ctx, i.Name))
}

// look is what a build and doctor ask before they begin.
func (w *world) look(c *provider.Client, _ int) error {
	ctx := w.Context()
	_, a := c.NewestOfFamily(ctx, "ubuntu-os-cloud", "ubuntu")
	_, b := c.Image(ctx, "ubuntu-os-cloud", "ubuntu-1")
	_, d := c.Image(ctx, ours, "built")
	_, e := c.Permissions(ctx, provider.ReleasePermissions())
	return errors.Join(a, b, d, e)
}

// sweep removes a VM, a disk and an image that were left.
func (w *world) sweep(c *provider.Client, round int) error {
	name, run := fmt.Sprintf("mero-build-debug-%d", round), fmt.Sprintf("swept-%d", round)
	labels := map[string]string{provider.LabelRun: run}
	require.NoError(w, w.server.Import(ours, &computepb.Image{Name: &name, Labels: labels}, w.base()))
	_, _ = c.Boot(w.Context(), provider.VM{Name: name, Image: "projects/" + ours + "/global/images/built",
		MaxRun: time.Hour, Labels: labels}) // interrupted, or there is nothing to sweep
	if _, err := c.Leftovers(w.Context()); err != nil {
		return err
	}
	if _, err := c.SweepRun(w.Context(), run); err != nil {
		return err
	}
	return errors.Join(c.DeleteDisk(w.Context(), name), c.DeleteImage(w.Context(), name))
}

// What is asked for besides, in a request, needs a permission as well.
func TestWhatTheRoleDoesNotHave(t *testing.T) {
	t.Parallel()
	w := openWorldAs(t, t.TempDir(), documented(t))
	w.succeeds(w.insertDisk(&computepb.Disk{Name: new("d"), SourceImage: new(base)}))
	for permission, change := range map[string]func(*computepb.Instance){
		"compute.instances.setTags": func(in *computepb.Instance) { in.Tags = &computepb.Tags{Items: []string{"ssh"}} },
		"compute.instances.setServiceAccount": func(in *computepb.Instance) {
			in.ServiceAccounts = []*computepb.ServiceAccount{{Email: new("default")}}
		},
		"compute.disks.use": func(in *computepb.Instance) {
			in.Disks[0] = &computepb.AttachedDisk{Boot: new(true), Source: new(path("disks", "d"))}
		},
	} {
		in := vm("more")
		change(in)
		_, err := w.insert(in)
		requireReason(t, err, 403, "forbidden")
		require.ErrorContains(t, err, "Required '"+permission+"' permission for 'projects/"+ours)
	}
	_, err := w.disk("d")
	requireReason(t, err, 403, "forbidden")
	_, err = w.newest(ours, "ours")
	requireReason(t, err, 403, "forbidden")
	_, err = w.newest("ubuntu-os-cloud", "ubuntu")
	require.NoError(t, err, "a public project's images are everybody's")
	_, err = w.change(http.MethodPost, "projects/ubuntu-os-cloud/global/images/ubuntu-1/deprecate",
		&computepb.DeprecationStatus{})
	require.ErrorContains(t, err,
		"Required 'compute.images.deprecate' permission for 'projects/ubuntu-os-cloud/global/images/ubuntu-1'")
}

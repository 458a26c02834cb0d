package gce_test

import (
	"bytes"
	"context"
	"encoding/json"
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
	"google.golang.org/api/googleapi"
	"google.golang.org/protobuf/types/known/structpb"

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
	"compute.disks.get":                     "Packer",
	"compute.disks.list":                    "sweeping",
	"compute.disks.setLabels":               "measuring",
	"compute.disks.use":                     "Packer",
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
	"compute.instances.reset":               "measuring",
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
	built := &computepb.Image{Name: new("built"), GuestOsFeatures: features("TDX_CAPABLE")}
	require.NoError(t, w.server.Import(ours, built, w.base()))
	w.machines.guest = func(ctx context.Context, spec gce.Spec) {
		w.later(2 * time.Second) // after a reset its quota of writes is not what it is about
		m := &guestattr.Metadata{Host: spec.Metadata, HTTP: http.DefaultClient, Wait: noWait}
		report := fmt.Appendf(nil, "report %d", w.machines.count())           // of each boot another
		_ = m.Publish(ctx, guestattr.Namespace, guestattr.ReportName, report) // who waits for it says so
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

// conversation is what Packer 1.9.4 with googlecompute 1.2.5 asked for in a rehearsed
// build of 2026-11-27, without its questions after operations. NAME stands for the
// VM and its disk, NAME-image for the disk that the image is made of, IMAGE for the
// image.
const conversation = "testdata/packer.jsonl"

// packer makes an image as Packer does.
func (w *world) packer(name string) error {
	text, err := os.ReadFile(conversation)
	require.NoError(w, err)
	text = []byte(strings.NewReplacer("NAME", name, "IMAGE", "image-"+name).Replace(string(text)))
	for dec := json.NewDecoder(bytes.NewReader(text)); dec.More(); {
		var asked struct {
			Method, Path string
			Body         json.RawMessage
		}
		require.NoError(w, dec.Decode(&asked))
		if err := w.ask(asked.Method, asked.Path, string(asked.Body)); err != nil {
			return err
		}
	}
	return found(w.image("image-" + name))
}

// ask sends one request of the conversation, and waits for the end of its operation.
func (w *world) ask(method, path, body string) error {
	if method == http.MethodGet {
		var answer structpb.Struct
		err := w.do(method, path, nil, &answer)
		var refused *googleapi.Error
		if errors.As(err, &refused) && refused.Code == http.StatusNotFound {
			err = nil // the image is not there yet
		}
		return err
	}
	op := &computepb.Operation{}
	return w.finish(op, w.do(method, path, body, op))
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
		Again: map[string]string{"mero-nonce": "again"},
		Image: "projects/" + ours + "/global/images/built", MaxRun: time.Hour, Wait: time.Minute}
	if _, err := c.Run(ctx, spec); err != nil {
		return err
	}
	i, err := c.Boot(ctx, provider.VM{Name: provider.Name("measure", release.Debug), Image: spec.Image,
		MaxRun: spec.MaxRun, Labels: map[string]string{provider.LabelRun: spec.Run}})
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
	for permission, change := range map[string]func(*computepb.Instance){
		"compute.instances.setTags": func(in *computepb.Instance) { in.Tags = &computepb.Tags{Items: []string{"ssh"}} },
		"compute.instances.setServiceAccount": func(in *computepb.Instance) {
			in.ServiceAccounts = []*computepb.ServiceAccount{{Email: new("default")}}
		},
	} {
		in := vm("more")
		change(in)
		_, err := w.insert(in)
		requireReason(t, err, 403, "forbidden")
		require.ErrorContains(t, err, "Required '"+permission+"' permission for 'projects/"+ours)
	}
	for _, verb := range []string{"stop", "start"} {
		_, err := w.turn("a", verb)
		require.ErrorContains(t, err, "Required 'compute.instances."+verb+"' permission")
	}
	_, err := w.newest(ours, "ours")
	requireReason(t, err, 403, "forbidden")
	_, err = w.newest("ubuntu-os-cloud", "ubuntu")
	require.NoError(t, err, "a public project's images are everybody's")
	_, err = w.change(http.MethodPost, "projects/ubuntu-os-cloud/global/images/ubuntu-1/deprecate",
		&computepb.DeprecationStatus{})
	require.ErrorContains(t, err,
		"Required 'compute.images.deprecate' permission for 'projects/ubuntu-os-cloud/global/images/ubuntu-1'")
}

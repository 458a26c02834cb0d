package gce

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/gce/guestattr"
)

const (
	serialBytes = 8 << 10 // of the console's end
	serialLines = 20      // of them in an error
	serialWidth = 200     // characters of one line
)

// GuestAttributes reads what a VM has written in a namespace; ErrNotFound when nothing.
func (c *Client) GuestAttributes(ctx context.Context, name, namespace string) ([]guestattr.Entry, error) {
	var found *computepb.GuestAttributes
	err := c.call(ctx, "reading guest attributes of "+name, func(ctx context.Context) (err error) {
		found, err = c.instances.GetGuestAttributes(ctx, &computepb.GetGuestAttributesInstanceRequest{
			Project: c.project, Zone: c.zone, Instance: name, QueryPath: proto.String(namespace + "/")})
		return err
	})
	if err != nil {
		return nil, err
	}
	var out []guestattr.Entry
	for _, i := range found.GetQueryValue().GetItems() {
		if i.GetNamespace() == namespace {
			out = append(out, guestattr.Entry{Key: i.GetKey(), Value: i.GetValue()})
		}
	}
	return out, nil
}

// Serial reads the end of a VM's console, for people: a locked image writes little there.
func (c *Client) Serial(ctx context.Context, name string) (string, error) {
	var out *computepb.SerialPortOutput
	err := c.call(ctx, "reading the console of "+name, func(ctx context.Context) (err error) {
		out, err = c.instances.GetSerialPortOutput(ctx, &computepb.GetSerialPortOutputInstanceRequest{
			Project: c.project, Zone: c.zone, Instance: name, Port: proto.Int32(1)})
		return err
	})
	text := out.GetContents()
	return text[max(0, len(text)-serialBytes):], err
}

// Report waits until a VM has published its report, and returns it whole.
func (c *Client) Report(ctx context.Context, name string, wait time.Duration) ([]byte, error) {
	return c.await(ctx, name, wait, func(entries []guestattr.Entry) ([]byte, error) {
		return guestattr.Decode(guestattr.ReportName, entries)
	})
}

// NextReport waits for another report of a VM than the one it published before.
func (c *Client) NextReport(ctx context.Context, name string, wait time.Duration, before []byte) ([]byte, error) {
	return c.await(ctx, name, wait, func(entries []guestattr.Entry) ([]byte, error) {
		return guestattr.DecodeNext(guestattr.ReportName, entries, before)
	})
}

// decoder puts a report together; guestattr.ErrIncomplete says that it is not there yet.
type decoder func([]guestattr.Entry) ([]byte, error)

func (c *Client) await(ctx context.Context, name string, wait time.Duration, decode decoder) ([]byte, error) {
	var report []byte
	err := c.poll(ctx, "the report of "+name, wait, func(ctx context.Context) (bool, error) {
		vm, err := c.Instance(ctx, name) // asked first: a VM may stop when it has reported
		if err != nil {
			return false, err
		}
		report, err = c.report(ctx, name, decode)
		if !errors.Is(err, guestattr.ErrIncomplete) {
			return err == nil, err
		}
		return false, vm.alive()
	})
	if err == nil || fault.CodeOf(err) != fault.General || ctx.Err() != nil {
		return report, err
	}
	return nil, &fault.Error{Code: fault.General, Message: "gce: " + name + " has not reported", Err: err,
		Got:  c.console(ctx, name),
		Hint: "the agent reports once the VM is up: is mero-agent.service in the image, and does it start?"}
}

// report reads the report once; ErrIncomplete when it is not there yet.
func (c *Client) report(ctx context.Context, name string, decode decoder) ([]byte, error) {
	entries, err := c.GuestAttributes(ctx, name, guestattr.Namespace)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, guestattr.ErrIncomplete
	case err != nil && !errors.Is(err, errTooLarge):
		return nil, err
	}
	var report []byte
	if err == nil {
		report, err = decode(entries)
	}
	if err == nil || errors.Is(err, guestattr.ErrIncomplete) {
		return report, err
	}
	return nil, &fault.Error{Code: fault.Verification, Message: "gce: the report of " + name + " is damaged", Err: err,
		Hint: "the VM writes its report's summary last; what does not match it was not written by the agent alone"}
}

// alive is an error for a VM that will write nothing any more.
func (i *Instance) alive() error {
	switch i.Status {
	case "STOPPING", "STOPPED", "SUSPENDING", "SUSPENDED", "TERMINATED", "DEPROVISIONING":
		return fmt.Errorf("the VM is %s", i.Status)
	}
	return nil
}

// console is the end of a VM's console, fit for an error.
func (c *Client) console(ctx context.Context, name string) string {
	text, err := c.Serial(ctx, name)
	if err != nil {
		return "its console cannot be read: " + words(err.Error(), maxMessage)
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	lines = lines[max(0, len(lines)-serialLines):]
	for i, line := range lines {
		lines[i] = words(line, serialWidth)
	}
	return "the end of its console:\n" + strings.Join(lines, "\n")
}

// Package inprocess is a Host of the local Compute Engine on which simulated
// node images run: a confidential VM is the agent's own mission in this process,
// so that its whole life takes milliseconds and needs neither root nor chroots.
//
// Its promise: from the instance's attributes to its guest attributes all is
// production's own code over the configfs-tsm of a simulated TD; MRTD and RTMR0
// are the platform's and equal in all images, RTMR1 and RTMR2 follow from the
// image's disk, a raw one, and RTMR3 stays zero until the agent extends it.
// Nothing of a machine runs once Stop has returned.
package inprocess

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/node/mission"
	"github.com/calimero-network/mero-tee/internal/provider/gce/guestattr"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

// Host boots disks whose roots hold nothing but the description of a simulated image.
type Host struct {
	Platform *tdxsim.Platform
	HTTP     *http.Client // of the nodes: reaches key services and collateral
	TDXRoot  [32]byte
	// Start boots an image otherwise; nil: as its disk says.
	Start func(Image) (*Machine, error)
	// Forge changes a report before it leaves the VM; nil: nothing does.
	Forge func(*agent.Report)
	// Local answers in the place of a node's port 80; nil: as traefik in front of a merod that is alive.
	Local http.RoundTripper
}

var _ gce.Host = (*Host)(nil)

// largest is the size in bytes of the largest disk that may be a simulated image's.
const largest = 64 << 20

// Simulated says whether a disk is one of a simulated image.
func Simulated(path string) bool {
	_, _, err := read(path)
	return err == nil
}

// read gives the image that a raw disk is of, and what it boots. It stops at once
// at a file that is something else, however large it is.
func read(path string) (i Image, boot *measuredboot.Boot, err error) {
	f, err := os.Open(path)
	if err != nil {
		return i, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && (!info.Mode().IsRegular() || info.Size() > largest) {
		err = fmt.Errorf("%s is no disk of a simulated image", path)
	}
	if err != nil {
		return i, nil, err
	}
	d, err := measuredboot.OpenFile(f)
	if err == nil {
		err = d.VerifyRoot(context.Background())
	}
	if err != nil {
		return i, nil, err
	}
	dec := json.NewDecoder(d.Root())
	dec.DisallowUnknownFields()
	return i, d.Boot(), dec.Decode(&i)
}

// Unpack makes a folder of what is no disk: nothing here boots it.
func (h *Host) Unpack(_ context.Context, image, disk string) error {
	return errors.Join(os.Mkdir(disk, 0o755), file.Copy(filepath.Join(disk, "image"), image, 0o644))
}

// Capture makes the file of such a folder again.
func (h *Host) Capture(_ context.Context, disk, image string) error {
	return file.Copy(image, filepath.Join(disk, "image"), 0o644)
}

// Boot starts the agent of a confidential VM. In any other nothing runs. A disk
// that does not boot is said on the serial port, as in a cloud.
func (h *Host) Boot(ctx context.Context, spec gce.Spec) (gce.Machine, error) {
	ctx, cancel := context.WithCancel(ctx)
	out := &machine{cancel: cancel, done: make(chan struct{})}
	if !spec.Confidential {
		return out, nil
	}
	image, boot, err := read(spec.Disk)
	if err != nil {
		_, _ = fmt.Fprintf(spec.Serial, "Kernel panic - not syncing: %v\n", err)
		return out, nil
	}
	booted, err := h.start(image, boot)
	if err != nil {
		return nil, errors.Join(err, out.Stop())
	}
	out.running.Go(func() {
		if err := h.report(ctx, spec.Metadata, image, booted); err != nil {
			_, _ = spec.Serial.Write([]byte("mero-agent: " + err.Error() + "\n")) // as the agent's unit does
		}
	})
	return out, nil
}

func (h *Host) start(i Image, boot *measuredboot.Boot) (*Machine, error) {
	if h.Start != nil {
		return h.Start(i)
	}
	return start(h.Platform, boot)
}

// report is what the agent does: it reads its mission, accomplishes it and reports.
func (h *Host) report(ctx context.Context, metadata string, image Image, booted *Machine) error {
	direct := &http.Client{Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}
	server := &guestattr.Metadata{Host: metadata, HTTP: direct}
	order, err := agent.ReadMission(ctx, server.Attribute)
	if err != nil {
		return err
	}
	inside := mission.Node{Profile: image.Profile, TSM: booted.TSM(), HTTP: h.HTTP, Root: h.TDXRoot, Now: time.Now,
		EventLog: func() ([]byte, error) { return booted.Log.CCEL(), nil },
		Local:    mission.Local{HTTP: h.Local, Patience: time.Second}}
	if h.Local == nil {
		inside.Local.HTTP = alive{}
	}
	report, _ := inside.Accomplish(ctx, order) // its error is in the report
	if h.Forge != nil {
		h.Forge(report)
	}
	data, err := report.Encode()
	if err != nil {
		return err
	}
	return server.Publish(ctx, guestattr.Namespace, guestattr.ReportName, data)
}

// alive is a node whose merod answers.
type alive struct{}

func (alive) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	_, err := w.WriteString(`{"data":{"status":"` + agent.Alive + `"}}`)
	return w.Result(), err
}

// machine runs until it is stopped, also when its agent has ended.
type machine struct {
	cancel  context.CancelFunc
	running sync.WaitGroup
	once    sync.Once
	done    chan struct{}
}

func (m *machine) Stop() error {
	m.cancel()
	m.running.Wait()
	m.once.Do(func() { close(m.done) })
	return nil
}

func (m *machine) Done() <-chan struct{} { return m.done }

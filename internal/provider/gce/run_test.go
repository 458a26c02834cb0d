package gce_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/provider/gce"
	"github.com/calimero-network/mero-tee/internal/provider/gce/guestattr"
	rehearsal "github.com/calimero-network/mero-tee/internal/rehearsal/gce"
)

func TestARun(t *testing.T) {
	t.Parallel()
	c := newCloud(t, rehearsal.Faults{})
	got, err := c.bare().Run(t.Context(), spec())
	require.NoError(t, err)
	require.Equal(t, report, got.Report)
	require.Equal(t, "RUNNING", got.Instance.Status)
	require.Equal(t, runLabel, got.Instance.Labels[gce.LabelRun])
	require.Equal(t, wholeLife, c.events())
	c.requireClean()
}

// After a reset the last boot's report is still there, and is not taken for the next one's.
func TestARunThatReboots(t *testing.T) {
	t.Parallel()
	c := newCloud(t, rehearsal.Faults{})
	second := []byte(strings.Repeat(`{"quote":"another"}`, 50))
	entries, err := guestattr.Encode(guestattr.ReportName, second)
	require.NoError(t, err)
	boots, later := 0, make(chan func(), 1)
	c.guest = func(spec rehearsal.Spec) {
		if boots++; boots == 1 {
			publish(t, spec, report)
			return
		}
		put(t, spec, entries[0]) // now the parts do not fit the summary
		time.Sleep(time.Second)  // the third write of a second was that
		later <- func() { put(t, spec, entries[1]) }
	}
	asked := 0
	c.options.Wait = func(ctx context.Context, d time.Duration) error {
		if len(later) > 0 {
			if asked++; asked == 3 {
				(<-later)()
			}
		}
		return c.pause(ctx, d)
	}
	wanted := spec()
	wanted.Again = map[string]string{"mero-nonce": strings.Repeat("a0", 32)}
	got, err := c.bare().Run(t.Context(), wanted)
	require.NoError(t, err)
	require.Equal(t, report, got.Report)
	require.Equal(t, second, got.Again)
	require.Equal(t, 3, asked)
	require.Equal(t, wholeLife, c.events())
	c.requireClean()
}

// A VM that does not come up again, or says the same again, is deleted all the same.
func TestARunThatDoesNotComeBack(t *testing.T) {
	t.Parallel()
	wanted := spec()
	wanted.Again = wanted.Metadata
	for name, tc := range map[string]struct {
		faults rehearsal.Faults
		want   string
	}{
		"nothing new": {rehearsal.Faults{}, "has not reported"},
		"a refusal":   {rehearsal.Faults{Denied: []string{"compute.instances.reset"}}, "compute.instances.reset"},
		"its reset": {rehearsal.Faults{Failures: []rehearsal.Failure{{Call: "instances.reset", Times: 1,
			Code: "INTERNAL_ERROR"}}}, "rebooting"},
		"a busy cloud": {rehearsal.Faults{Refusals: []rehearsal.Refusal{{Call: "instances.reset", Times: 3, Status: 503}}},
			"has not reported"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t, tc.faults)
			boots := 0
			c.guest = func(spec rehearsal.Spec) {
				if boots++; boots == 1 {
					publish(t, spec, report)
				}
			}
			_, err := c.bare().Run(t.Context(), wanted)
			require.ErrorContains(t, err, tc.want)
			c.requireClean()
		})
	}
	short := wanted
	short.MaxRun = short.Wait + time.Second
	_, err := newCloud(t, rehearsal.Faults{}).bare().Run(t.Context(), short)
	require.ErrorContains(t, err, "must live longer")
}

func TestRunsSideBySide(t *testing.T) {
	t.Parallel()
	c := newCloud(t, rehearsal.Faults{})
	client := c.bare()
	var all sync.WaitGroup
	errs := make([]error, 3)
	for i := range errs {
		all.Go(func() { _, errs[i] = client.Run(t.Context(), spec()) })
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
	require.Len(t, c.journal, 6)
	c.requireClean()
}

// The report may come late, and in pieces: no piece is taken for the whole.
func TestALateReport(t *testing.T) {
	t.Parallel()
	c := newCloud(t, rehearsal.Faults{})
	entries, err := guestattr.Encode(guestattr.ReportName, report)
	require.NoError(t, err)
	write := make(chan func(), 1)
	c.guest = func(spec rehearsal.Spec) {
		write <- func() {
			if len(entries) > 0 {
				put(t, spec, entries[0])
				entries = entries[1:]
			}
		}
	}
	var one func()
	c.options.Wait = func(ctx context.Context, d time.Duration) error {
		if one == nil {
			select {
			case one = <-write:
			default: // it is still being made
			}
		} else {
			one()
		}
		return c.pause(ctx, d)
	}
	got, err := c.bare().Run(t.Context(), spec())
	require.NoError(t, err)
	require.Equal(t, report, got.Report)
	require.Empty(t, entries)
	c.requireClean()
}

func put(t *testing.T, spec rehearsal.Spec, e guestattr.Entry) {
	t.Helper()
	url := "http://" + spec.Metadata + "/computeMetadata/v1/instance/guest-attributes/" + guestattr.Namespace + "/" + e.Key
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, strings.NewReader(e.Value))
	require.NoError(t, err)
	req.Header.Set("Metadata-Flavor", "Google")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
}

// Every call may be answered busy, or carried out without an answer.
func TestRunsInACloudThatIsBusy(t *testing.T) {
	t.Parallel()
	var early, lost []rehearsal.Refusal
	for _, call := range []string{"instances.insert", "instances.get", "instances.getGuestAttributes", "instances.delete",
		"zoneOperations.get"} {
		for _, status := range []int{429, 503, 500} {
			early = append(early, rehearsal.Refusal{Call: call, Times: 1, Status: status, RetryAfter: 2 * time.Second})
		}
		lost = append(lost, rehearsal.Refusal{Call: call, Times: 2, Status: 502, After: true})
	}
	for name, f := range map[string]rehearsal.Faults{
		"busy":                 {Refusals: early},
		"answers lost":         {Refusals: lost},
		"hidden":               {Hidden: 4},
		"hidden, answers lost": {Hidden: 4, Refusals: lost},
		"slow operations": {Slow: map[string]time.Duration{"instances.insert": 300 * time.Millisecond,
			"instances.delete": 300 * time.Millisecond}},
		"attributes are limited": {Busy: 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t, f)
			got, err := c.bare().Run(t.Context(), spec())
			require.NoError(t, err)
			require.Equal(t, report, got.Report)
			require.Equal(t, wholeLife, c.events())
			c.requireClean()
			if name == "busy" {
				require.GreaterOrEqual(t, len(c.pauses), 15)
				require.Equal(t, 15, count(c.pauses, 2*time.Second))
			}
		})
	}
}

func count(all []time.Duration, d time.Duration) (n int) {
	for _, x := range all {
		if x == d {
			n++
		}
	}
	return n
}

func TestRunsThatFail(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		faults rehearsal.Faults
		code   fault.Code
		says   string
		hint   string
	}{
		"quota": {rehearsal.Faults{Failures: []rehearsal.Failure{{Call: "instances.insert", Times: 1,
			Code: "QUOTA_EXCEEDED"}}},
			fault.General, "QUOTA_EXCEEDED", "mage sweep"},
		"no machine": {rehearsal.Faults{Failures: []rehearsal.Failure{{Call: "instances.insert", Times: 1,
			Code: "ZONE_RESOURCE_POOL_EXHAUSTED"}}},
			fault.General, "ZONE_RESOURCE_POOL_EXHAUSTED", "GCP_ZONE"},
		"no machine, in other words": {rehearsal.Faults{Failures: []rehearsal.Failure{{Call: "instances.insert", Times: 1,
			Code: "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS"}}},
			fault.General, "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS", "set GCP_ZONE to another zone with TDX"},
		"quota, at once": {rehearsal.Faults{Refusals: []rehearsal.Refusal{{Call: "instances.insert", Times: 1, Status: 403,
			Reason: "quotaExceeded"}}},
			fault.General, "quotaExceeded", "mage sweep"},
		"an internal error": {rehearsal.Faults{
			Failures: []rehearsal.Failure{{Call: "instances.insert", Times: 1, Code: "INTERNAL_ERROR"}}},
			fault.General, "INTERNAL_ERROR", ""},
		"denied": {rehearsal.Faults{Denied: []string{"compute.instances.create"}},
			fault.Usage, "forbidden", "grant compute.instances.create"},
		"attributes denied": {rehearsal.Faults{Denied: []string{"compute.instances.getGuestAttributes"}},
			fault.Usage, "forbidden", "grant compute.instances.getGuestAttributes"},
		"busy to the end": {rehearsal.Faults{
			Refusals: []rehearsal.Refusal{{Call: "instances.insert", Times: 99, Status: 503}}},
			fault.General, "503", ""},
		"never up":  {rehearsal.Faults{Silent: true}, fault.General, "has not reported", "mero-agent.service"},
		"empty":     {rehearsal.Faults{Reads: rehearsal.Absent}, fault.General, "has not reported", "mero-agent.service"},
		"truncated": {rehearsal.Faults{Reads: rehearsal.Truncated}, fault.Verification, "damaged", "summary"},
		"oversized": {rehearsal.Faults{Reads: rehearsal.Oversized}, fault.Verification, "damaged", "summary"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newCloud(t, c.faults)
			_, err := w.bare().Run(t.Context(), spec())
			require.ErrorContains(t, err, c.says)
			var f *fault.Error
			require.ErrorAs(t, err, &f)
			require.Equal(t, c.code, f.Code)
			require.Contains(t, f.Hint, c.hint)
			require.Equal(t, wholeLife, w.events())
			deleted := strings.Contains(strings.Join(w.said(&w.requests), "\n"), "DELETE ")
			require.Equal(t, name != "denied" && name != "quota, at once", deleted,
				"only what was refused for good needs no deletion")
			w.requireClean()
		})
	}
}

func TestASilentVMShowsItsConsole(t *testing.T) {
	t.Parallel()
	c := newCloud(t, rehearsal.Faults{})
	c.guest = func(rehearsal.Spec) {}
	_, err := c.bare().Run(t.Context(), spec())
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Contains(t, f.Got, "kernel:  [1mKernel panic [0m", "nothing that a terminal obeys")
	require.Equal(t, 20, strings.Count(f.Got, "\n"))
	var waited time.Duration
	for _, d := range c.pauses {
		waited += d
	}
	between(t, 9*time.Minute, 11*time.Minute, waited)

	c = newCloud(t, rehearsal.Faults{Denied: []string{"compute.instances.getSerialPortOutput"}})
	c.guest = func(rehearsal.Spec) {}
	_, err = c.bare().Run(t.Context(), spec())
	require.ErrorAs(t, err, &f)
	require.Contains(t, f.Got, "cannot be read")
}

func TestAVMThatStopsOrGoesAway(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		path, answer, says string
		status             int
	}{
		"stopped": {"/instances/mero-", `{"status":"TERMINATED","name":`, "the VM is TERMINATED", 200},
		"gone":    {"/instances/mero-", "", "not found", 404},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newCloud(t, rehearsal.Faults{Reads: rehearsal.Absent})
			asked := false
			w.around = func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					name, single := strings.CutPrefix(r.URL.Path, zoned+"/instances/")
					asked = asked || strings.HasSuffix(name, "/getGuestAttributes")
					switch {
					case !asked || !single || r.Method != http.MethodGet || strings.Contains(name, "/"):
						next.ServeHTTP(rw, r)
					case c.status == http.StatusOK:
						ok(c.answer+`"`+name+`"}`).ServeHTTP(rw, r)
					default:
						refuse(404, "notFound", "The resource was not found").ServeHTTP(rw, r)
					}
				})
			}
			_, err := w.bare().Run(t.Context(), spec())
			require.ErrorContains(t, err, c.says)
			require.Less(t, len(w.pauses), 30, "it is not waited for to the end")
			require.Equal(t, wholeLife, w.events())
			w.requireClean()
		})
	}
}

func TestRunsThatAreNotBegun(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*gce.RunSpec){
		"no time":        func(v *gce.RunSpec) { v.Wait = 0 },
		"too short":      func(v *gce.RunSpec) { v.MaxRun = v.Wait },
		"no run":         func(v *gce.RunSpec) { v.Run = "" },
		"a bad purpose":  func(v *gce.RunSpec) { v.Purpose = "../../" },
		"no image":       func(v *gce.RunSpec) { v.Image = "" },
		"a profile's to": func(v *gce.RunSpec) { v.Profile = "Debug" },
	} {
		c := newCloud(t, rehearsal.Faults{})
		v := spec()
		spoil(&v)
		_, err := c.bare().Run(t.Context(), v)
		require.Equal(t, fault.Usage, fault.CodeOf(err), name)
		require.Empty(t, c.requests, name)
		require.Empty(t, c.journal, name)
	}
}

// A full disk: what cannot be written down is not begun, and no request leaves;
// what is begun is deleted all the same.
func TestAJournalThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	for _, event := range wholeLife {
		c := newCloud(t, rehearsal.Faults{})
		write := c.options.Journal
		c.options.Journal = func(e journal.Entry) error {
			if strings.HasPrefix(e.String(), event) {
				return syscall.ENOSPC
			}
			return write(e)
		}
		_, err := c.bare().Run(t.Context(), spec())
		c.requireClean()
		require.ErrorIs(t, err, syscall.ENOSPC, event)
		require.Equal(t, event == "begin vm", len(c.said(&c.requests)) == 0, event)
	}
}

// Nor is anything of an earlier run deleted whose deletion cannot be written down.
func TestADeletionThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	ours := map[string]string{gce.LabelOwner: gce.Owner}
	for name, remove := range map[string]func(context.Context, *gce.Client) error{
		"a vm": func(ctx context.Context, c *gce.Client) error {
			return c.Remove(ctx, gce.Resource{Kind: gce.Instances, Name: "x", Zone: zone, Labels: ours})
		},
		"a disk":   func(ctx context.Context, c *gce.Client) error { return c.DeleteDisk(ctx, "x") },
		"an image": func(ctx context.Context, c *gce.Client) error { return c.DeleteImage(ctx, "x") },
	} {
		w := newWorld(t, deletions())
		w.options.Journal = func(journal.Entry) error { return syscall.ENOSPC }
		require.ErrorIs(t, remove(t.Context(), w.client()), syscall.ENOSPC, name)
		require.Empty(t, w.said(&w.requests), name)
	}
}

func TestAPanicDeletesTheVM(t *testing.T) {
	t.Parallel()
	c := newCloud(t, rehearsal.Faults{Silent: true})
	var panicked atomic.Bool
	c.options.Wait = func(ctx context.Context, d time.Duration) error {
		if len(c.server.Resources()) > 1 && !panicked.Swap(true) { // the VM is there, besides its image
			panic("a bug")
		}
		return c.pause(ctx, d)
	}
	client := c.bare()
	require.PanicsWithValue(t, "a bug", func() { _, _ = client.Run(t.Context(), spec()) })
	require.Equal(t, wholeLife, c.events())
	c.requireClean()
}

// The largest report that an agent makes is within what a VM may write.
func TestTheLargestReport(t *testing.T) {
	t.Parallel()
	c := newCloud(t, rehearsal.Faults{})
	large := make([]byte, 350_000)
	_, _ = rand.Read(large) // it cannot be compressed
	c.guest = func(spec rehearsal.Spec) { publish(t, spec, large) }
	got, err := c.bare().Run(t.Context(), spec())
	require.NoError(t, err)
	require.Equal(t, large, got.Report)
}

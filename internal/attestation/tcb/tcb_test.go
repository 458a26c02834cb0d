package tcb_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

var today = time.Date(2026, 11, 26, 23, 59, 59, 0, time.UTC)

func waiver(change ...func(*tcb.Waiver)) tcb.Waiver {
	w := tcb.Waiver{Status: "OutOfDate", Reason: "the fleet is updated until the end of the year", Until: "2026-12-31"}
	for _, f := range change {
		f(&w)
	}
	return w
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		list    []string
		waivers []tcb.Waiver
		want    string
	}{
		"waived":            {[]string{"UpToDate"}, []tcb.Waiver{waiver()}, ""},
		"listed and waived": {[]string{"UpToDate", "OutOfDate"}, []tcb.Waiver{waiver()}, ""},
		"two scopes": {[]string{"UpToDate"}, []tcb.Waiver{waiver(),
			waiver(func(w *tcb.Waiver) { w.FMSPC = "b0c06f000000" })}, ""},
		"a milder status, for a while": {[]string{"UpToDate"},
			[]tcb.Waiver{waiver(func(w *tcb.Waiver) { w.Status = "SWHardeningNeeded" })}, ""},
		"not waived": {[]string{"UpToDate", "OutOfDate"}, nil, "OutOfDate without a waiver"},
		"other waived": {[]string{"OutOfDate", "OutOfDateConfigurationNeeded"}, []tcb.Waiver{waiver()},
			"OutOfDateConfigurationNeeded without a waiver"},
		"no reason": {[]string{"UpToDate"}, []tcb.Waiver{waiver(func(w *tcb.Waiver) { w.Reason = " \t" })},
			"gives no reason"},
		"a reason of two lines": {[]string{"UpToDate"}, []tcb.Waiver{waiver(func(w *tcb.Waiver) { w.Reason = "a\nb" })},
			"not one line of printable text"},
		"a reason that is still to come": {[]string{"UpToDate"},
			[]tcb.Waiver{waiver(func(w *tcb.Waiver) { w.Reason = "t.b.d." })}, "still to be written"},
		"a reason that says that there is none": {[]string{"UpToDate"},
			[]tcb.Waiver{waiver(func(w *tcb.Waiver) { w.Reason = "n/a" })}, "says that there is none"},
		"a reason that nobody sees": {[]string{"UpToDate"}, []tcb.Waiver{waiver(func(w *tcb.Waiver) { w.Reason = "\u2060" })},
			"gives no reason"},
		"no end": {[]string{"UpToDate"}, []tcb.Waiver{waiver(func(w *tcb.Waiver) { w.Until = "" })}, "has no end"},
		"no day": {[]string{"UpToDate"}, []tcb.Waiver{waiver(func(w *tcb.Waiver) { w.Until = "2026-02-30" })},
			"has no end"},
		"a time": {[]string{"UpToDate"}, []tcb.Waiver{waiver(func(w *tcb.Waiver) { w.Until = "2026-12-31T00:00:00Z" })},
			"has no end"},
		"twice": {[]string{"UpToDate"}, []tcb.Waiver{waiver(), waiver(func(w *tcb.Waiver) { w.Reason = "again" })},
			"waives the same twice"},
		"waives good": {[]string{"UpToDate"}, []tcb.Waiver{waiver(func(w *tcb.Waiver) { w.Status = "UpToDate" })},
			"needs no waiver"},
		"waives what is listed": {[]string{"ConfigurationNeeded"},
			[]tcb.Waiver{waiver(func(w *tcb.Waiver) { w.Status = "ConfigurationNeeded" })}, "needs no waiver"},
		"waives a status of nobody's": {[]string{"UpToDate"},
			[]tcb.Waiver{waiver(func(w *tcb.Waiver) { w.Status = "outofdate" })}, "needs no waiver"},
		"waives Revoked": {[]string{"UpToDate"}, []tcb.Waiver{waiver(func(w *tcb.Waiver) { w.Status = "Revoked" })},
			"waives Revoked, which nothing can"},
		"a family in upper case": {[]string{"UpToDate"},
			[]tcb.Waiver{waiver(func(w *tcb.Waiver) { w.FMSPC = "B0C06F000000" })}, "fmspc of a TCB waiver"},
		"an advisory that is none": {[]string{"UpToDate"},
			[]tcb.Waiver{waiver(func(w *tcb.Waiver) { w.Advisories = []string{"SA-1"} })}, "advisories of a TCB waiver"},
		"revoked": {[]string{"UpToDate", "Revoked"}, nil, "never allowed"},
		"unknown": {[]string{"Fine"}, nil, "never allowed"},
		"again":   {[]string{"UpToDate", "UpToDate"}, nil, "a status twice"},
		"empty":   {[]string{}, []tcb.Waiver{waiver()}, "is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := tcb.List{AllowedTCBStatus: tc.list, TCBWaivers: tc.waivers}.Check()
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			var f *fault.Error
			require.ErrorAs(t, err, &f)
			require.Contains(t, f.Message+": "+f.Expected, tc.want)
			require.Equal(t, fault.Verification, f.Code)
		})
	}
}

func TestAccepts(t *testing.T) {
	t.Parallel()
	host := tcb.Platform{Status: tdx.OutOfDate, Advisories: []string{"INTEL-SA-01192", "INTEL-SA-01245"},
		FMSPC: "b0c06f000000"}
	ends := func(day string) func(*tcb.Waiver) { return func(w *tcb.Waiver) { w.Until = day } }
	family := func(fmspc string) func(*tcb.Waiver) { return func(w *tcb.Waiver) { w.FMSPC = fmspc } }
	advised := func(ids []string) func(*tcb.Waiver) { return func(w *tcb.Waiver) { w.Advisories = ids } }
	east := time.FixedZone("east", 14*3600)
	other := func(w *tcb.Waiver) { w.Status = "OutOfDateConfigurationNeeded" }
	for name, tc := range map[string]struct {
		waivers   []tcb.Waiver
		at        time.Time
		ok, ended bool
	}{
		"nothing":                 {nil, today, false, false},
		"the status":              {[]tcb.Waiver{waiver()}, today, true, false},
		"on its last day":         {[]tcb.Waiver{waiver(ends("2026-11-26"))}, today, true, false},
		"one second later":        {[]tcb.Waiver{waiver(ends("2026-11-26"))}, today.Add(time.Second), false, true},
		"the family":              {[]tcb.Waiver{waiver(family(host.FMSPC))}, today, true, false},
		"another family":          {[]tcb.Waiver{waiver(family("00906ed50000"))}, today, false, false},
		"the advisories":          {[]tcb.Waiver{waiver(advised(host.Advisories))}, today, true, false},
		"one of the advisories":   {[]tcb.Waiver{waiver(advised(host.Advisories[:1]))}, today, false, false},
		"another status":          {[]tcb.Waiver{waiver(other)}, today, false, false},
		"one ended, one holds":    {[]tcb.Waiver{waiver(ends("2026-01-01")), waiver(family(host.FMSPC))}, today, true, false},
		"another time zone's day": {[]tcb.Waiver{waiver(ends("2026-11-26"))}, today.In(east), true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := tcb.List{AllowedTCBStatus: []string{"UpToDate", "OutOfDate"}, TCBWaivers: tc.waivers}
			ok, w := l.Accepts(host, tc.at)
			require.Equal(t, tc.ok, ok, "OutOfDate counts by a waiver alone, also where it is listed")
			require.Equal(t, tc.ok || tc.ended, w != nil)
			ok, w = l.Accepts(tcb.Platform{Status: tdx.UpToDate}, tc.at)
			require.True(t, ok)
			require.Nil(t, w)
		})
	}
	unsigned := tcb.List{TCBWaivers: []tcb.Waiver{waiver(func(w *tcb.Waiver) { w.Status = "Revoked" })}}
	ok, _ := unsigned.Accepts(tcb.Platform{Status: tdx.Revoked}, today)
	require.False(t, ok, "also when nobody checked the list")
}

// A waiver that names advisories is about those: a platform without any is not meant.
func TestAWaiverOfAdvisoriesIsAboutThem(t *testing.T) {
	t.Parallel()
	l := tcb.List{TCBWaivers: []tcb.Waiver{waiver(func(w *tcb.Waiver) { w.Advisories = []string{"INTEL-SA-01192"} })}}
	ok, _ := l.Accepts(tcb.Platform{Status: tdx.OutOfDate}, today)
	require.False(t, ok)
}

func TestJudgeSaysWhichListAndHowToWaive(t *testing.T) {
	t.Parallel()
	l := tcb.List{AllowedTCBStatus: []string{"UpToDate"}}
	host := tcb.Platform{Status: tdx.OutOfDate, Advisories: []string{"INTEL-SA-01192"}, FMSPC: "b0c06f000000"}
	var f *fault.Error
	require.ErrorAs(t, l.Judge("the key service's host", tcb.HostFile, host, today), &f)
	require.Equal(t, fault.Verification, f.Code)
	require.Equal(t, "the TCB status of the key service's host is not accepted", f.Message)
	require.Equal(t, "UpToDate, by docker/mero-kms/host-tcb.json", f.Expected)
	require.Equal(t, "OutOfDate (INTEL-SA-01192), FMSPC b0c06f000000", f.Got)
	require.Contains(t, f.Hint, `"status": "OutOfDate", "fmspc": "b0c06f000000", "reason": "…", "until": "YYYY-MM-DD"`)

	l.TCBWaivers = []tcb.Waiver{waiver(func(w *tcb.Waiver) { w.Until = "2026-11-25" })}
	require.ErrorContains(t, l.Judge("it", "f", host, today), "its waiver has ended (OutOfDate until 2026-11-25)")
	l.TCBWaivers[0].Until = "2026-11-26"
	require.NoError(t, l.Judge("it", "f", host, today))
}

func TestTodayAndSince(t *testing.T) {
	t.Parallel()
	l := tcb.List{AllowedTCBStatus: []string{"UpToDate", "OutOfDate"}, TCBWaivers: []tcb.Waiver{waiver()}}
	require.Equal(t, []string{"UpToDate", "OutOfDate"}, l.Today(today))
	require.Equal(t, []string{"UpToDate"}, l.Today(today.AddDate(1, 0, 0)), "what has ended is not passed on")
	client := tcb.Since(l.Today(today))
	for _, status := range []tdx.Status{tdx.UpToDate, tdx.OutOfDate} {
		ok, _ := client.Accepts(tcb.Platform{Status: status}, today.AddDate(50, 0, 0))
		require.True(t, ok)
	}
	ok, _ := client.Accepts(tcb.Platform{Status: tdx.SWHardeningNeeded}, today)
	require.False(t, ok)
	ok, _ = tcb.Since([]string{"Revoked"}).Accepts(tcb.Platform{Status: tdx.Revoked}, today)
	require.False(t, ok)
}

// The list of this repository, and what is no such list.
func TestDecodeHost(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "..", "..", tcb.HostFile)
	h, err := tcb.ReadHost(path)
	require.NoError(t, err)
	require.Equal(t, []string{"UpToDate"}, h.AllowedTCBStatus)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	for name, bad := range map[string]string{
		"another form": `{"schema_version":"1","allowed_tcb_status":["UpToDate"]}`,
		"an unknown key": "{\n  \"schema_version\": \"1\",\n  \"allowed_tcb_status\": [\n    \"UpToDate\"\n  ],\n" +
			"  \"x\": 1\n}\n",
		"another schema": "{\n  \"schema_version\": \"2\",\n  \"allowed_tcb_status\": [\n    \"UpToDate\"\n  ]\n}\n",
		"an empty list":  "{\n  \"schema_version\": \"1\",\n  \"allowed_tcb_status\": []\n}\n",
		"no list":        "{\n  \"schema_version\": \"1\"\n}\n",
		"twice":          string(data) + string(data),
	} {
		_, err := tcb.DecodeHost([]byte(bad))
		require.Equal(t, fault.Verification, fault.CodeOf(err), name)
		require.ErrorContains(t, err, tcb.HostFile, name)
	}
	_, err = tcb.ReadHost(filepath.Join(t.TempDir(), "none.json"))
	require.Equal(t, fault.MissingAsset, fault.CodeOf(err))
}

// What is taken for a list of the host is one that Check takes, and has known statuses alone.
func FuzzDecodeHost(f *testing.F) {
	shipped, err := os.ReadFile("../../../docker/mero-kms/host-tcb.json")
	require.NoError(f, err)
	for _, s := range []string{string(shipped), `{"schema_version":"1","allowed_tcb_status":["UpToDate"]}`,
		`{"schema_version":"2","allowed_tcb_status":["UpToDate"]}`, `{"schema_version":"1","allowed_tcb_status":["Revoked"]}`,
		`{"schema_version":"1","allowed_tcb_status":[]}`, "", "null"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := tcb.DecodeHost(data)
		if err != nil {
			require.Equal(t, fault.Verification, fault.CodeOf(err))
			return
		}
		require.NoError(t, h.Check())
		require.Equal(t, tcb.HostSchemaVersion, h.SchemaVersion)
		ok, _ := h.Accepts(tcb.Platform{Status: tdx.Revoked}, time.Now())
		require.False(t, ok, "%s", data)
	})
}

package report_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/pipeline/report"
	"github.com/calimero-network/mero-tee/internal/release"
)

// A browser shows the page without a word on its console and without asking for
// anything else, and shows in it what a reader looks for.
func TestInABrowser(t *testing.T) {
	t.Parallel()
	browser := findBrowser(t)
	large := whole(t)
	large.Pairs = manyPairs()
	for name, r := range map[string]*report.Report{"hostile text": whole(t), "10,000 pairs": large} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked, address := serve(t, page(t, r))
			dom, console := open(t, browser, address)
			require.NotContains(t, console, "CONSOLE", "the browser has something to say")
			require.Equal(t, []string{"/"}, asked(), "the page alone is asked for")
			text := shown(elements(t, dom)[0])
			require.Contains(t, text, "UKI, Authenticode", "an event of a register")
			require.Contains(t, text, "<script>alert(1)</script>", "as text")
			require.NotContains(t, dom, "<script")
			require.Contains(t, dom, "data:image/svg+xml;base64,", "the matrix")
		})
	}
}

// The console's lines are seen: what a broken page would write there fails the test.
func TestABrowserSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	browser := findBrowser(t)
	text := strings.Replace(page(t, whole(t)), "<main ", `<img src="https://example.org/x"><main `, 1)
	_, address := serve(t, text)
	_, console := open(t, browser, address)
	require.Contains(t, console, "CONSOLE")
}

func findBrowser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no Chromium here: apt-get install chromium")
	return ""
}

// serve answers with the page alone, and tells what it was asked for.
func serve(t *testing.T, text string) (asked func() []string, address string) {
	t.Helper()
	var mu sync.Mutex
	var paths []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		paths = append(paths, r.URL.Path)
		mu.Unlock()
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprint(w, text)
	}))
	t.Cleanup(server.Close)
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), paths...)
	}, server.URL + "/"
}

// open is the page's DOM as the browser built it, and what the browser logged.
func open(t *testing.T, browser, address string) (dom, console string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // for a hang only
	defer cancel()
	cmd := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
		"--enable-logging=stderr", "--log-level=0", "--user-data-dir="+t.TempDir(), "--dump-dom", address)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	require.NoError(t, cmd.Run(), log.String())
	return out.String(), log.String()
}

func manyPairs() *catalog.Catalog {
	out := &catalog.Catalog{SchemaVersion: catalog.SchemaVersion}
	for kms := range 100 {
		for node := range 100 {
			out.Entries = append(out.Entries, catalog.Entry{KMS: release.Version{Major: 1, Minor: kms},
				NodeImage: release.Version{Major: 1, Minor: node}, Profiles: release.Profiles(), Tested: true, Notes: hostile})
		}
	}
	return out
}

package browser

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/hang"
)

// Tab is a page that was opened.
type Tab struct {
	b       *Browser
	session string
	loaded  chan struct{}

	mu    sync.Mutex
	asked []string
	said  []string
}

// Open shows the page at an address and waits until it is there, with all that it asks for.
func (b *Browser) Open(address string, v View) *Tab {
	b.t.Helper()
	var target struct{ TargetID string }
	b.call("", "Target.createTarget", object{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.call("", "Target.attachToTarget", object{"targetId": target.TargetID, "flatten": true}, &attached)
	tab := &Tab{b: b, session: attached.SessionID, loaded: make(chan struct{}, 1)}
	b.mu.Lock()
	b.tabs[tab.session] = tab
	b.mu.Unlock()
	for _, domain := range []string{"Page", "Log", "Runtime", "Network"} {
		tab.call(domain+".enable", object{}, nil)
	}
	tab.Show(v)
	tab.call("Page.navigate", object{"url": address}, nil)
	select {
	case <-tab.loaded:
	case <-b.gone:
		b.t.Fatal("the browser ended")
	case <-time.After(hang.Limit(b.t)):
		b.t.Fatalf("%s: not loaded", address)
	}
	return tab
}

// Show looks at the page in another way.
func (tab *Tab) Show(v View) {
	tab.b.t.Helper()
	theme := "light"
	if v.Dark {
		theme = "dark"
	}
	tab.call("Emulation.setEmulatedMedia", object{"media": v.Media,
		"features": []object{{"name": "prefers-color-scheme", "value": theme},
			{"name": "prefers-reduced-motion", "value": "reduce"}}}, nil) // nothing moves while it is looked at
	tab.call("Emulation.setDeviceMetricsOverride",
		object{"width": v.Width, "height": 800, "deviceScaleFactor": 1, "mobile": false}, nil)
}

func (tab *Tab) call(method string, params, into any) {
	tab.b.t.Helper()
	tab.b.call(tab.session, method, params, into)
}

// hear keeps what the browser says of the page.
func (tab *Tab) hear(m message) {
	var p struct {
		Request struct{ URL string }
		Entry   struct{ Text, URL string }
		Args    []struct{ Value any }
		Details struct {
			Text string
		} `json:"exceptionDetails"`
	}
	_ = json.Unmarshal(m.Params, &p) // of other events, whose fields may be others
	tab.mu.Lock()
	defer tab.mu.Unlock()
	switch m.Method {
	case "Page.loadEventFired":
		select {
		case tab.loaded <- struct{}{}:
		default:
		}
	case "Network.requestWillBeSent":
		tab.asked = append(tab.asked, p.Request.URL)
	case "Log.entryAdded":
		tab.said = append(tab.said, p.Entry.Text+" "+p.Entry.URL)
	case "Runtime.exceptionThrown":
		tab.said = append(tab.said, p.Details.Text)
	case "Runtime.consoleAPICalled":
		for _, a := range p.Args {
			text, _ := json.Marshal(a.Value) // it came as JSON
			tab.said = append(tab.said, string(text))
		}
	}
}

// Console is what the browser has to say of the page: refusals of its policy, errors, what scripts wrote.
func (tab *Tab) Console() []string {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	return slices.Clone(tab.said)
}

// Asked are the addresses that the page asked for, its own first.
func (tab *Tab) Asked() []string {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	return slices.Clone(tab.asked)
}

// Eval is the value of a JavaScript expression in the page, decoded into into. The page's policy does not bind it.
func (tab *Tab) Eval(expression string, into any) {
	tab.b.t.Helper()
	var out struct {
		Result    struct{ Value json.RawMessage }
		Exception *struct {
			Text      string
			Exception struct{ Description string }
		} `json:"exceptionDetails"`
	}
	tab.call("Runtime.evaluate", object{"expression": expression, "returnByValue": true, "awaitPromise": true}, &out)
	if out.Exception != nil {
		tab.b.t.Fatalf("%s %s in %s", out.Exception.Text, out.Exception.Exception.Description, expression)
	}
	must(tab.b.t, json.Unmarshal(out.Result.Value, into))
}

// Tabulator presses the key that moves the focus on.
func (tab *Tab) Tabulator() {
	tab.b.t.Helper()
	for _, kind := range []string{"rawKeyDown", "keyUp"} {
		tab.call("Input.dispatchKeyEvent",
			object{"type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}, nil)
	}
}

// Screenshot is the whole page as a PNG.
func (tab *Tab) Screenshot() []byte {
	tab.b.t.Helper()
	return tab.bytes("Page.captureScreenshot", object{"captureBeyondViewport": true})
}

// PDF is the page as it is printed.
func (tab *Tab) PDF() []byte {
	tab.b.t.Helper()
	return tab.bytes("Page.printToPDF", object{"printBackground": false})
}

func (tab *Tab) bytes(method string, params object) []byte {
	tab.b.t.Helper()
	var out struct{ Data string }
	tab.call(method, params, &out)
	data, err := base64.StdEncoding.DecodeString(out.Data)
	must(tab.b.t, err)
	return data
}

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// Not parallel: the tests set what the compiler's caller sets otherwise.
func describe(t *testing.T, files map[string]string, arguments ...string) (string, error) {
	t.Helper()
	version = "1.2.3"
	t.Cleanup(func() { version = "" })
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	arguments = append([]string{"-name=n", "-version=1", "-base=" + dir, "-catalogers=image"}, arguments...)
	err := run(t.Context(), append(arguments, "dir:"+dir), &out)
	return out.String(), err
}

func TestDebianPackages(t *testing.T) {
	text, err := describe(t, map[string]string{"etc/os-release": "ID=debian\nVERSION_ID=12\n",
		"var/lib/dpkg/status": "Package: base-files\nStatus: install ok installed\nVersion: 12.4\nArchitecture: amd64\n\n"})
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		CreationInfo struct{ Creators []string }
		Packages     []struct{ Name, VersionInfo string }
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	if want := "Tool: syft-1.2.3"; doc.CreationInfo.Creators[1] != want {
		t.Fatalf("creators are %q, want %q", doc.CreationInfo.Creators, want)
	}
	for _, p := range doc.Packages {
		if p.Name == "base-files" && p.VersionInfo == "12.4" {
			return
		}
	}
	t.Fatalf("no base-files among %v", doc.Packages)
}

// What cannot be read is refused by its name, and not left out.
func TestRPMIsRefused(t *testing.T) {
	for _, name := range []string{"var/lib/rpm/rpmdb.sqlite", "usr/lib/sysimage/rpm/Packages.db",
		"var/lib/rpmmanifest/container-manifest-2"} {
		text, err := describe(t, map[string]string{name: "x"})
		if err == nil || !bytes.Contains([]byte(err.Error()), []byte(name)) || text != "" {
			t.Fatalf("%s: got %v and %q", name, err, text)
		}
	}
}

func TestUsage(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), []string{"dir:/"}, &out); err == nil {
		t.Fatal("without its version it would name itself as a creator that there is not")
	}
	if _, err := describe(t, nil, "dir:/another"); err == nil {
		t.Fatal("two sources are refused")
	}
	version = "1.2.3"
	t.Cleanup(func() { version = "" })
	for _, where := range []string{"registry:example.org/x", "docker:x", "/", ""} {
		if err := run(t.Context(), []string{where}, &out); err == nil {
			t.Fatalf("%q is no source of ours", where)
		}
	}
}

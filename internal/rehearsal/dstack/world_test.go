package dstack_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/kms/image"
	client "github.com/calimero-network/mero-tee/internal/provider/dstack"
	"github.com/calimero-network/mero-tee/internal/rehearsal/dstack"
	"github.com/calimero-network/mero-tee/internal/rehearsal/network"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

const (
	apiBase = "https://cloud-api.phala.com/api/v1"
	apiKey  = "rehearsal-key"
)

// program is the test application, built once: static, as a released one is.
var program = sync.OnceValues(func() ([]byte, error) {
	if built := os.Getenv(programVariable); built != "" {
		return os.ReadFile(built)
	}
	dir, err := os.MkdirTemp("", "dstack-app-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "app")
	cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", out, "./testdata/app")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, text)
	}
	return os.ReadFile(out)
})

// programVariable names the file of an application that another process built.
const programVariable = "TEST_DSTACK_PROGRAM"

// layer is the program in a tar, gzipped once and without compression: speed is all that counts here.
var layer = sync.OnceValues(func() (v1.Layer, error) {
	app, err := program()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	zw, err := gzip.NewWriterLevel(&out, gzip.NoCompression)
	if err != nil {
		return nil, err
	}
	tw := tar.NewWriter(zw)
	err = tw.WriteHeader(&tar.Header{Name: "app", Mode: 0o755, Size: int64(len(app)), Typeflag: tar.TypeReg})
	if err == nil {
		_, err = tw.Write(app)
	}
	if err = errors.Join(err, tw.Close(), zw.Close()); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(out.Bytes())), nil
	})
})

// world is a closed network with a registry, Intel's service, something to fetch, and a provider.
type world struct {
	network  *network.Network
	provider *dstack.Provider
	client   *client.Client
	pki      *tdxsim.PKI
	state    string
	image    string // by digest
}

func newWorld(t *testing.T, state string, faults dstack.Faults) *world {
	t.Helper()
	w := &world{network: network.New(), state: state}
	t.Cleanup(func() { require.NoError(t, w.network.Close()) })
	var err error
	w.pki, err = tdxsim.NewPKI([]byte("test"))
	require.NoError(t, err)
	machine, err := w.pki.NewPlatform(0)
	require.NoError(t, err)
	pcs := tdxsim.NewPCS(w.pki, time.Now, machine)
	for _, host := range tdxsim.Hosts() {
		require.NoError(t, w.network.Handle(host, pcs))
	}
	require.NoError(t, w.network.Handle("ghcr.io", registry.New(registry.Logger(log.New(io.Discard, "", 0)))))
	require.NoError(t, w.network.Handle("github.com", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(rw, "%s%s", r.Host, r.URL.Path)
	})))
	w.image = w.push(t, v1.Config{Entrypoint: []string{"/app"}, User: "65532:65532"})
	proxy, err := w.network.Proxy()
	require.NoError(t, err)
	w.provider, err = dstack.New(dstack.Options{State: state, Seed: make([]byte, 32), APIKey: apiKey, TDX: machine,
		Proxy:  proxy,
		Faults: faults, Unpack: w.unpack})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.provider.Close()) })
	require.NoError(t, w.network.Handle("cloud-api.phala.com", w.provider))
	require.NoError(t, w.network.Handle("*."+dstack.Domain, w.provider.Gateway()))
	w.client = client.New(apiBase, apiKey, w.network.Transport())
	return w
}

func (w *world) unpack(ctx context.Context, ref, dir string) (v1.Config, error) {
	digest, err := name.NewDigest(ref)
	if err != nil {
		return v1.Config{}, err
	}
	return image.Unpack(ctx, digest, dir, image.Remote{Transport: w.network.Transport()})
}

// push builds an image with the test application and pushes it to the closed network's ghcr.io.
func (w *world) push(t *testing.T, config v1.Config) string {
	t.Helper()
	app, err := layer()
	require.NoError(t, err)
	img, err := mutate.AppendLayers(empty.Image, app)
	require.NoError(t, err)
	img, err = mutate.ConfigFile(img, &v1.ConfigFile{OS: "linux", Architecture: "amd64", Config: config,
		RootFS: rootfs(t, img)})
	require.NoError(t, err)
	digest, err := img.Digest()
	require.NoError(t, err)
	ref, err := name.NewDigest("ghcr.io/calimero-network/test@" + digest.String())
	require.NoError(t, err)
	require.NoError(t, remote.Write(ref, img, remote.WithTransport(w.network.Transport())))
	return ref.String()
}

func rootfs(t *testing.T, img v1.Image) v1.RootFS {
	t.Helper()
	c, err := img.ConfigFile()
	require.NoError(t, err)
	return c.RootFS
}

// app is an app-compose.json in dstack's normalized form. Changes to the service are made by edit.
func (w *world) app(t *testing.T, name string, edit func(service map[string]any)) client.App {
	t.Helper()
	service := map[string]any{
		"image": w.image, "ports": []string{"8080:8080"}, "volumes": []string{"/var/run/dstack.sock:/var/run/dstack.sock"},
		"environment": map[string]string{"DSTACK_SOCKET_PATH": "/var/run/dstack.sock", "TOKEN": "a<b>&c", "NAME": name},
		"read_only":   true, "cap_drop": []string{"ALL"},
	}
	if edit != nil {
		edit(service)
	}
	file := marshal(t, map[string]any{"services": map[string]any{"mero-kms": service}})
	compose := marshal(t, spelledOut(string(file)))
	return client.App{Name: name, Compose: compose, Image: "dstack-0.5.9"}
}

// spelledOut is an app-compose file that the API has nothing to add to.
func spelledOut(dockerCompose string) map[string]any {
	return map[string]any{"allowed_envs": []string{}, "docker_compose_file": dockerCompose,
		"features": []string{"kms", "tproxy-net"}, "gateway_enabled": true, "kms_enabled": true,
		"local_key_provider_enabled": false, "manifest_version": 2, "name": "", "no_instance_id": false,
		"pre_launch_script": "#!/bin/bash\n", "public_logs": true, "public_sysinfo": false, "public_tcbinfo": true,
		"runner": "docker-compose", "secure_time": true, "storage_fs": "zfs", "tproxy_enabled": true}
}

// marshal is dstack's deterministic JSON, for maps.
func marshal(t *testing.T, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	require.NoError(t, enc.Encode(v))
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// get asks a deployed application, by its public address.
func (w *world) get(t *testing.T, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	resp, err := (&http.Client{Transport: w.network.Transport()}).Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}

// ask is get for an answer in JSON.
func (w *world) ask(t *testing.T, url string, v any) {
	t.Helper()
	status, body := w.get(t, url)
	require.Equal(t, http.StatusOK, status, body)
	require.NoError(t, json.Unmarshal([]byte(body), v))
}

// send asks the API as the client does, with a body of the test's own.
func (w *world) send(t *testing.T, method, path, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, apiBase+path, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("X-API-Key", apiKey)
	req.Header.Set("User-Agent", "test")
	resp, err := (&http.Client{Transport: w.network.Transport()}).Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(data)
}

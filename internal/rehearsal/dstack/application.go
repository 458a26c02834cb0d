package dstack

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

// agentSocket is where dstack's guest agent listens on the host of the containers.
const agentSocket = "/var/run/dstack.sock"

// application is one app-compose.json, understood.
type application struct {
	compose    []byte   // app-compose.json as dstack keeps it
	hash       [32]byte // its SHA-256
	publicLogs bool
	service    types.ServiceConfig
	port       string // the one published port
	socket     string // where the container sees the guest agent; empty: not at all
}

// composeHash is 64 hex digits.
func (a application) composeHash() string { return hex.EncodeToString(a.hash[:]) }

// read understands an app-compose file.
func read(ctx context.Context, composeFile json.RawMessage) (a application, err error) {
	if a.compose, a.hash, err = deterministic(composeFile); err != nil {
		return application{}, err
	}
	var file struct {
		DockerCompose string `json:"docker_compose_file"`
		PublicLogs    bool   `json:"public_logs"`
	}
	if err := json.Unmarshal(a.compose, &file); err != nil {
		return application{}, err
	}
	a.publicLogs = file.PublicLogs
	return a, a.readCompose(ctx, []byte(file.DockerCompose))
}

// readCompose reads what docker compose would run: nothing of the host's environment is substituted.
func (a *application) readCompose(ctx context.Context, file []byte) error {
	project, err := loader.LoadWithContext(ctx, types.ConfigDetails{
		WorkingDir:  "/",
		ConfigFiles: []types.ConfigFile{{Filename: "docker-compose.yaml", Content: file}},
		Environment: types.Mapping{},
	}, func(o *loader.Options) {
		o.SetProjectName("dstack", true)
		o.SkipInclude, o.SkipExtends, o.SkipResolveEnvironment = true, true, true
	})
	if err != nil {
		return err
	}
	if len(project.Services) != 1 {
		return fmt.Errorf("%d services: the rehearsal runs exactly one", len(project.Services))
	}
	for _, s := range project.Services {
		a.service = s
	}
	return a.check()
}

func (a *application) check() error {
	s := a.service
	if !strings.Contains(s.Image, "@sha256:") {
		return fmt.Errorf("image %q is not pinned by digest", s.Image)
	}
	if len(s.Ports) != 1 || s.Ports[0].Published == "" {
		return errors.New("the rehearsal's gateway serves exactly one published port")
	}
	a.port = s.Ports[0].Published
	for _, v := range s.Volumes {
		if v.Source != agentSocket {
			return fmt.Errorf("volume %q: the rehearsal has only %s", v.Source, agentSocket)
		}
		a.socket = v.Target
	}
	for name, value := range s.Environment {
		if value == nil {
			return fmt.Errorf("environment %s has no value", name)
		}
	}
	return nil
}

// environment is the compose file's, NAME=value, sorted.
func (a *application) environment() []string {
	out := make([]string, 0, len(a.service.Environment))
	for name, value := range a.service.Environment {
		out = append(out, name+"="+*value)
	}
	slices.Sort(out)
	return out
}

// deterministic is dstack's form of app-compose.json: keys sorted, no white
// space, nothing escaped that need not be (get_compose_hash of dstack's SDKs).
func deterministic(raw json.RawMessage) ([]byte, [32]byte, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v map[string]any
	if err := dec.Decode(&v); err != nil {
		return nil, [32]byte{}, err
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, [32]byte{}, err
	}
	b := bytes.TrimSuffix(out.Bytes(), []byte("\n"))
	return b, sha256.Sum256(b), nil
}

package dstack

import (
	"context"
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

	preLaunchScript string
	service         types.ServiceConfig
	port            string // the one published port
	socket          string // where the container sees the guest agent; empty: not at all
}

// composeHash is 64 hex digits.
func (a application) composeHash() string { return hex.EncodeToString(a.hash[:]) }

// read understands an app-compose file; more is what this API adds besides.
func read(ctx context.Context, composeFile json.RawMessage, more map[string]any) (a application, err error) {
	var m manifest
	if a.compose, a.hash, m, err = stored(composeFile, more); err != nil {
		return application{}, err
	}
	a.publicLogs, a.preLaunchScript = m.PublicLogs, m.PreLaunchScript
	return a, a.readCompose(ctx, []byte(*m.DockerCompose))
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

package dstack

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

// The states of a CVM. One that does not boot is "starting" for ever: its boot
// error says why.
const (
	created  = "created"
	starting = "starting"
	running  = "running"
	exited   = "exited" // the application's process ended
)

// cvm is one confidential VM: a simulated TD, a guest agent and one process.
type cvm struct {
	id, name, instanceID, instanceType, image string // id is the app id, image the operating system

	options *Options
	keys    *keys
	dir     string // holds the root file system
	logPath string

	td      *tdxsim.TD // td and log are set by boot, before the agent serves
	log     *tdxsim.EventLog
	quoting sync.Mutex

	mu      sync.Mutex
	app     application
	offered map[string]application // provisioned updates, by compose hash
	next    *application           // an update that was accepted and has not begun
	lag     int
	status  string
	hidden  int
	cold    int
	address string // of the application's listener; set when running

	createdAt time.Time
	bootError string
	exitedAt  time.Time
	cancel    context.CancelFunc
	done      chan struct{}
}

func (p *Provider) newCVM(appID string, q *request) *cvm {
	instance := make([]byte, 20)
	_, _ = rand.Read(instance) // never fails
	return &cvm{
		id: appID, name: q.Name, instanceID: hex.EncodeToString(instance), instanceType: q.InstanceType, image: q.Image,
		app: q.app, offered: map[string]application{}, options: &p.options, keys: p.keys,
		dir:     filepath.Join(p.run, appID),
		logPath: filepath.Join(p.options.State, "logs", q.Name+".log"),
		status:  created, createdAt: time.Now(), hidden: p.options.Faults.Hidden, cold: p.options.Faults.Cold,
	}
}

// current is the application that runs, or is to run.
func (c *cvm) current() application {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.app
}

// start boots the CVM in the background; false when it was started before.
func (c *cvm) start(parent context.Context) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.status != created {
		return false
	}
	ctx, cancel := context.WithCancel(parent)
	c.status, c.cancel, c.done = starting, cancel, make(chan struct{})
	go func() {
		defer close(c.done)
		c.live(ctx)
	}()
	return true
}

// stop kills what runs, waits for it, and removes its files.
func (c *cvm) stop() error {
	c.mu.Lock()
	cancel, done := c.cancel, c.done
	c.status = exited // one that was never started can no longer be
	c.mu.Unlock()
	if cancel != nil {
		cancel()
		<-done
	}
	return os.RemoveAll(c.dir)
}

// live is the whole life of the CVM. What ends it is the last line of its log.
func (c *cvm) live(ctx context.Context) {
	log, err := os.OpenFile(c.logPath, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		c.fail(err)
		return
	}
	defer log.Close()
	ran := false
	err = c.runApplication(ctx, log, func(address string) {
		ran = true
		c.become(running, address)
	})
	if !ran {
		c.fail(err)
		return
	}
	_, _ = fmt.Fprintf(log, "platform: exited: %v\n", err)
	c.become(exited, "")
}

func (c *cvm) become(status, address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status, c.address, c.bootError = status, address, ""
	if status == exited {
		c.exitedAt = time.Now()
	}
}

// fail keeps why the CVM did not boot.
func (c *cvm) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bootError = fmt.Sprintf("failed to start containers: %v", err)
}

// state is what the machine says about itself: what is not known is left out.
func (c *cvm) state() map[string]any {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]any{"name": c.name, "status": c.status, "instance_id": c.instanceID, "boot_progress": "done"}
	if c.status == starting {
		out["boot_progress"] = "starting containers"
	}
	if c.bootError != "" {
		out["boot_error"] = c.bootError
	}
	if !c.exitedAt.IsZero() {
		out["exited_at"] = c.exitedAt.UTC().Format(time.RFC3339)
	}
	return out
}

// runApplication returns when the application's process has ended.
func (c *cvm) runApplication(ctx context.Context, log *os.File, started func(address string)) (err error) {
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return err
	}
	files := filepath.Join(c.dir, "rootfs")
	config, err := c.options.Unpack(ctx, c.app.service.Image, files)
	if err != nil {
		return err
	}
	if err := c.boot(c.options.TDX, c.keys.provider()); err != nil {
		return err
	}
	if err := c.app.prelaunch(); err != nil {
		return err
	}
	root, err := os.OpenRoot(files)
	if err != nil {
		return err
	}
	defer closing(&err, root)
	if err := writeTrust(root, certificateFile, c.options.Proxy.CertificatePEM); err != nil {
		return err
	}
	if err := c.writeSigstore(root); err != nil {
		return err
	}
	agent, err := serveAgent(root, c.app.socket, c.agent())
	if err != nil {
		return fmt.Errorf("guest agent: %w", err)
	}
	defer closing(&err, agent)
	p, err := c.entryPoint(files, config)
	if err != nil {
		return err
	}
	return p.run(ctx, log, started)
}

func closing(err *error, c io.Closer) { *err = errors.Join(*err, c.Close()) }

// stillHidden counts down the GETs that do not see the CVM yet.
func (c *cvm) stillHidden() bool { return countDown(c, &c.hidden) }

// stillCold counts down the requests that the gateway cannot deliver yet.
func (c *cvm) stillCold() bool { return countDown(c, &c.cold) }

func countDown(c *cvm, left *int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if *left == 0 {
		return false
	}
	*left--
	return true
}

// describe is the CVM as GET /cvms/{id} shows it.
func (c *cvm) describe() map[string]any {
	c.mu.Lock()
	defer c.mu.Unlock()
	base := "https://" + c.id + "-" + c.app.port + "." + Domain
	return map[string]any{
		"id": "cvm_" + c.id[:8], "vm_uuid": nil, "app_id": c.id, "name": c.name, "status": c.status,
		"instance_id": c.instanceID, "resource": map[string]any{"instance_type": c.instanceType},
		"compose_hash": c.app.composeHash(),
		"os": map[string]any{"name": c.image, "version": strings.TrimPrefix(c.image, "dstack-"), "is_dev": false,
			"os_image_hash": osImageHash(c.image).Hex()},
		"endpoints": []map[string]string{{"app": base, "instance": base}},
		"gateway":   map[string]string{"base_domain": Domain},
	}
}

// created is the CVM as POST /cvms and POST /cvms/{id}/start answer.
func (c *cvm) created() map[string]any {
	c.mu.Lock()
	defer c.mu.Unlock()
	return map[string]any{"id": 1, "name": c.name, "status": c.status, "teepod_id": 1,
		"teepod": map[string]any{"id": 1, "name": "rehearsal"}, "user_id": nil, "app_id": c.id, "vm_uuid": nil,
		"instance_id": nil, "base_image": c.image, "vcpu": 1, "memory": 2048, "disk_size": 20, "docker_compose_file": nil,
		"created_at": c.createdAt.UTC().Format(time.RFC3339), "encrypted_env_pubkey": nil}
}

// entryPoint is an application's program, ready to run.
type entryPoint struct {
	root     string // its root file system
	args     []string
	env      []string
	dir      string
	uid, gid int
}

// entryPoint combines the image's configuration, the compose file's overrides,
// and what the platform adds; nothing of the host's environment.
func (c *cvm) entryPoint(root string, image v1.Config) (*entryPoint, error) {
	s := c.app.service
	entrypoint, command, user := image.Entrypoint, image.Cmd, image.User
	if len(s.Entrypoint) > 0 {
		entrypoint, command = s.Entrypoint, nil
	}
	if len(s.Command) > 0 {
		command = s.Command
	}
	if s.User != "" {
		user = s.User
	}
	p := &entryPoint{root: root, args: append(append([]string{}, entrypoint...), command...),
		dir: path.Join("/", image.WorkingDir)}
	if len(p.args) == 0 || !path.IsAbs(p.args[0]) {
		return nil, fmt.Errorf("entry point %q is not an absolute path", p.args)
	}
	var err error
	if p.uid, p.gid, err = parseUser(user); err != nil {
		return nil, err
	}
	proxy := c.options.Proxy.URL
	p.env = append(append(p.env, image.Env...), c.app.environment()...)
	p.env = append(p.env, "HTTPS_PROXY="+proxy, "HTTP_PROXY="+proxy, "SSL_CERT_FILE="+certificateFile, "LISTEN_FDS=1")
	if c.options.TrustedRoot != "" {
		p.env = append(p.env, "MERO_KMS_TRUSTED_ROOT="+sigstoreFile)
	}
	return p, nil
}

// writeSigstore has the application believe the rehearsal's Sigstore, as it believes the rehearsal's certificates.
func (c *cvm) writeSigstore(root *os.Root) error {
	if c.options.TrustedRoot == "" {
		return nil
	}
	data, err := os.ReadFile(c.options.TrustedRoot)
	if err != nil {
		return err
	}
	return writeTrust(root, sigstoreFile, data)
}

// parseUser reads "uid" or "uid:gid"; an image without a user runs as root.
func parseUser(user string) (uid, gid int, err error) {
	if user == "" {
		return 0, 0, nil
	}
	first, second, both := strings.Cut(user, ":")
	if !both {
		second = "0"
	}
	if uid, err = strconv.Atoi(first); err == nil {
		gid, err = strconv.Atoi(second)
	}
	if err != nil || uid < 0 || gid < 0 {
		return 0, 0, fmt.Errorf("user %q is not numeric: an image from scratch has no /etc/passwd", user)
	}
	return uid, gid, nil
}

// run starts the process with a loopback listener as descriptor 3 (systemd's
// socket activation), reports the listener's address, and waits for its end.
func (p *entryPoint) run(ctx context.Context, log *os.File, started func(address string)) error {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		return err
	}
	defer f.Close()
	return p.exec(ctx, f, log, func() {
		// Only the child holds the port now: when it ends, connections are refused.
		_, _ = f.Close(), l.Close()
		started(l.Addr().String())
	})
}

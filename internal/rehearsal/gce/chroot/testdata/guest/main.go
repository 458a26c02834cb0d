// Command guest is what the tests' images run as their agent.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/tsm"
	"github.com/calimero-network/mero-tee/internal/node/agent"
)

// report is what the guest sees, written as a guest attribute.
type report struct {
	Nonce, Hostname, Proxy, Certificate, Extra string
	Quote, Log                                 []byte
	UID                                        int
	Groups                                     []int
	Writable                                   map[string]bool
	Found                                      []string // that an earlier boot wrote
	Processes                                  int
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "guest:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch args[0] {
	case "say":
		fmt.Println(strings.Join(args[1:], " "))
		return nil
	case "fail":
		return fmt.Errorf("told to fail")
	case "linger": // leaves a process behind, away from its parent
		cmd := exec.Command("/usr/lib/mero/mero-agent", "sleep", args[1])
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		return cmd.Start()
	case "serve":
		return serve()
	case "sleep":
		time.Sleep(time.Hour)
		return nil
	}
	client, err := tsm.Open(os.Getenv("MERO_TSM_SOCKET"))
	if err != nil {
		return err
	}
	a := &agent.Agent{TSM: client, Profile: "debug"}
	if args[0] == "measure" {
		return a.ExtendProfile()
	}
	return tell(a)
}

// serve says who it is at the node's port 80, and keeps something of its own.
func serve() error {
	l, err := net.Listen("tcp", os.Getenv(agent.NodeHostVariable))
	if err != nil {
		return err
	}
	state := os.Getenv("STATE_DIRECTORY")
	if err := os.WriteFile(state+"/mine", nil, 0o600); err != nil {
		return err
	}
	info, err := os.Stat(state)
	if err != nil {
		return err
	}
	fmt.Println("serving")
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "%d %s %s %s", os.Getuid(), os.Getenv("USER"), state, info.Mode().Perm())
		if os.Getuid() != 0 && os.WriteFile("/etc/written", nil, 0o600) == nil {
			fmt.Fprint(w, " may write to /etc")
		}
	}))
}

func tell(a *agent.Agent) error {
	r := report{Extra: os.Getenv("EXTRA"), Proxy: os.Getenv("HTTPS_PROXY"), UID: os.Getuid(), Writable: map[string]bool{}}
	nonce, err := metadata(http.MethodGet, "attributes/mero-nonce", nil)
	if err != nil {
		return err
	}
	r.Nonce = string(nonce)
	if r.Quote, err = a.Quote([64]byte{1}); err != nil {
		return err
	}
	r.Log, _ = os.ReadFile("/sys/firmware/acpi/tables/data/CCEL")
	certificate, _ := os.ReadFile(os.Getenv("SSL_CERT_FILE"))
	r.Certificate = string(certificate)
	r.Hostname, _ = os.Hostname()
	r.Groups, _ = os.Getgroups()
	for _, dir := range []string{"/", "/etc", "/run", "/tmp", "/sys", "/var"} {
		if _, err := os.Stat(dir + "/written"); err == nil {
			r.Found = append(r.Found, dir)
		}
		r.Writable[dir] = os.WriteFile(dir+"/written", nil, 0o600) == nil
	}
	all, _ := os.ReadDir("/proc")
	for _, p := range all {
		if p.Name()[0] >= '0' && p.Name()[0] <= '9' {
			r.Processes++
		}
	}
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = metadata(http.MethodPut, "guest-attributes/mero/report", body)
	return err
}

func metadata(method, path string, body []byte) ([]byte, error) {
	url := "http://" + os.Getenv("GCE_METADATA_HOST") + "/computeMetadata/v1/instance/" + path
	q, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	q.Header.Set("Metadata-Flavor", "Google")
	answer, err := http.DefaultClient.Do(q)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s %s: %s", method, path, answer.Status)
	}
	return io.ReadAll(answer.Body)
}

package boot

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/node/boot/lan"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Report is what the boots of one disk showed.
type Report struct {
	Profile     release.Profile `json:"profile"`
	Disk        string          `json:"disk"`
	CommandLine string          `json:"command_line"`
	Processor   string          `json:"processor"`
	Seconds     float64         `json:"seconds"`
	Worked      float64         `json:"processor_seconds"` // of all machines; a busy host changes it little
	Results     check.Results   `json:"results"`
	Events      []Event         `json:"events"` // of the released disk's first boot, from the TPM
	Ports       lan.Ports       `json:"ports"`  // every TCP port, asked from outside
	Inside      *Inside         `json:"inside"` // null: the profile has no way in
	Boots       []machineReport `json:"boots"`

	mu      sync.Mutex // of Results and Boots
	console *console.Console
}

// machineReport is what was seen of one machine from outside.
type machineReport struct {
	Name     string   `json:"name"`
	Phases   []phase  `json:"phases"`
	Network  []string `json:"network"` // what the guest asked for, in order
	Written  int      `json:"pages_written"`
	Restarts int      `json:"restarts"`
	Worked   float64  `json:"processor_seconds"`
}

// add keeps results, and says them at once: a boot takes its time.
func (r *Report) add(results ...check.Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Results = append(r.Results, results...)
	if r.console != nil {
		check.Results(results).Print(r.console)
	}
}

// Err is nil unless a check failed; each has been said.
func (r *Report) Err() error {
	first := r.Results.Err()
	if first == nil || len(r.Results) == 0 {
		return first
	}
	return &fault.Error{Code: fault.CodeOf(first),
		Message: fmt.Sprintf("%s: %d of %d checks failed", r.Profile, r.Results.Count(check.Failed), len(r.Results))}
}

// boot adds a machine that has done its part, for which its processor worked so long.
func (r *Report) boot(g *guest, worked time.Duration) {
	b := machineReport{Name: g.name, Phases: g.phases, Network: []string{}, Written: len(g.disk.Written()),
		Restarts: g.machine.Restarts(), Worked: worked.Seconds()}
	for _, e := range g.network.Events() {
		b.Network = append(b.Network, e.What)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Boots = append(r.Boots, b)
	r.Worked += b.Worked
}

// write writes report.json and report.md into a folder.
func (r *Report) write(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := file.Write(filepath.Join(folder, "report.json"), append(data, '\n'), 0o644); err != nil {
		return err
	}
	return file.Write(filepath.Join(folder, "report.md"), []byte(r.markdown()), 0o644)
}

// markdown is the report for people.
func (r *Report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# A real boot of %s\n\n%s, %.0f s. The processor: %s; it worked %.0f s.\n\n    %s\n",
		r.Profile, r.Disk, r.Seconds, r.Processor, r.Worked, r.CommandLine)
	b.WriteString("\n| check | result | |\n|---|---|---|\n")
	for _, c := range r.Results {
		detail := c.Reason
		if c.Status == check.Failed {
			detail = strings.TrimPrefix(fmt.Sprintf("%s; expected: %s; got: %s", c.Reason, c.Expected, c.Got), "; ")
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", cell(c.Name), c.Status, cell(detail))
	}
	b.WriteString("\n## What was measured\n\nRead from the TPM's own record of its commands.\n\n" +
		"| PCR | event | predicted | digest |\n|---|---|---|---|\n")
	for _, e := range r.Events {
		predicted := "no"
		if e.Predicted {
			predicted = "yes"
		}
		fmt.Fprintf(&b, "| %d | %s | %s | %s |\n", e.PCR, cell(e.Words), predicted, e.Digest)
	}
	fmt.Fprintf(&b, "\n## Ports, asked from outside\n\nOpen: %s. Closed: %d. Without an answer: %d.\n", list(r.Ports.Open),
		r.Ports.Closed, r.Ports.Silent)
	r.insideMarkdown(&b)
	r.bootsMarkdown(&b)
	return b.String()
}

func (r *Report) insideMarkdown(b *strings.Builder) {
	b.WriteString("\n## Inside\n\n")
	if r.Inside == nil {
		b.WriteString("Not seen: the profile has no way in. From outside: the disk's reads and writes, the TPM, " +
			"the serial port, the screen, the network, every TCP port.\n")
		return
	}
	type part struct {
		title string
		lines []string
	}
	parts := []part{{"Units that failed", r.Inside.Units}, {"Units that need the measurement", r.Inside.Waits},
		{"Mounts", r.Inside.Mounts}, {"Listeners", r.Inside.Ports}}
	if lent := r.Inside.Lent; lent != nil {
		parts = append(parts, part{"The same units, with a TD", lent.Units}, part{"Listeners, with a TD", lent.Ports})
	}
	for _, part := range parts {
		fmt.Fprintf(b, "%s:\n\n    %s\n\n", part.title, strings.Join(part.lines, "\n    "))
	}
}

func (r *Report) bootsMarkdown(b *strings.Builder) {
	b.WriteString("\n## The machines\n\n" +
		"| machine | seconds | processor | asked for on the network | pages written | restarts |\n" +
		"|---|---|---|---|---|---|\n")
	for _, m := range r.Boots {
		var phases []string
		for _, p := range m.Phases {
			phases = append(phases, fmt.Sprintf("%.0f %s", p.Seconds, p.Name))
		}
		fmt.Fprintf(b, "| %s | %s | %.0f | %s | %d | %d |\n", m.Name, cell(strings.Join(phases, "; ")), m.Worked,
			cell(strings.Join(m.Network, "; ")), m.Written, m.Restarts)
	}
}

// cell is text that stays in its cell of a table.
func cell(text string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ", "\r", " ", "`", "'").Replace(text)
}

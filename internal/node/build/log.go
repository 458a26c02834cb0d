package build

import (
	"fmt"
	"io"
	"strings"
	"sync"
)

// buildLog keeps everything that Packer says in a file and passes on what a
// person who waits wants to see: the headlines of Packer and of Ansible.
type buildLog struct {
	mu   sync.Mutex
	file io.Writer
	say  func(string)
}

func (l *buildLog) line(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = fmt.Fprintln(l.file, text) // a log
	if head := headline(text); head != "" {
		l.say(head)
	}
}

const builderName = "googlecompute.node: "

// headline is what is worth a line on the console, "" for the rest.
func headline(line string) string {
	line = strings.TrimSpace(line)
	if rest, ok := strings.CutPrefix(line, "==> "+builderName); ok {
		return rest
	}
	line = strings.TrimPrefix(line, builderName)
	if task, ok := strings.CutPrefix(line, "TASK ["); ok {
		name, _, _ := strings.Cut(task, "]")
		return "Ansible: " + name
	}
	if strings.HasPrefix(line, "fatal: ") {
		return line
	}
	return ""
}

package chroot

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// account is a user of an image, from its own /etc/passwd and /etc/group.
type account struct {
	name, home string
	uid, gid   uint64
	groups     []string // ids
}

const accountsSize = 1 << 20

func findAccount(image *os.Root, name string) (*account, error) {
	users, err := fields(image, "etc/passwd")
	if err != nil {
		return nil, err
	}
	groups, err := fields(image, "etc/group")
	if err != nil {
		return nil, err
	}
	for _, f := range users {
		if len(f) != 7 || f[0] != name {
			continue
		}
		a := &account{name: name, home: f[5]}
		if a.uid, err = strconv.ParseUint(f[2], 10, 32); err != nil {
			return nil, fmt.Errorf("/etc/passwd, %s: %w", name, err)
		}
		if a.gid, err = strconv.ParseUint(f[3], 10, 32); err != nil {
			return nil, fmt.Errorf("/etc/passwd, %s: %w", name, err)
		}
		a.groups = []string{f[3]} // initgroups(3) has the user's own too
		for _, g := range groups {
			if len(g) == 4 && slices.Contains(strings.Split(g[3], ","), name) {
				a.groups = append(a.groups, g[2])
			}
		}
		return a, nil
	}
	return nil, fmt.Errorf("the image has no user %q", name)
}

func fields(image *os.Root, name string) ([][]string, error) {
	text, err := readFile(image, name, accountsSize)
	if err != nil {
		return nil, err
	}
	var out [][]string
	for line := range strings.Lines(string(text)) {
		out = append(out, strings.Split(strings.TrimSpace(line), ":"))
	}
	return out, nil
}

// environment is what systemd.exec(5) sets for User=.
func (a *account) environment() []string {
	return []string{"HOME=" + a.home, "USER=" + a.name, "LOGNAME=" + a.name}
}

// chroot are the arguments of chroot(1) that make a program the account's.
func (a *account) chroot() []string {
	return []string{fmt.Sprintf("--userspec=%d:%d", a.uid, a.gid), "--groups=" + strings.Join(a.groups, ",")}
}

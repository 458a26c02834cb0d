package gce

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strconv"
)

func listenLoopback() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") }

// freeAddress finds a loopback address whose port nobody listens on: one of four
// million, for rehearsals beside this one choose theirs the same way.
func freeAddress(port int) (string, error) {
	var errs []error
	for range 8 {
		var b [3]byte
		_, _ = rand.Read(b[:]) // never fails
		address := fmt.Sprintf("127.%d.%d.%d", 64+b[0]%128, b[1], 1+b[2]%254)
		l, err := net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(port)))
		if err == nil {
			return address, l.Close()
		}
		errs = append(errs, err)
	}
	return "", errors.Join(errs...)
}

package image

import (
	"bytes"
	"fmt"
	"reflect"

	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot"
	"github.com/calimero-network/mero-tee/internal/base/digest"
)

// Reproduced names what makes an image another one than the released: nothing,
// when it boots the same bytes from the same root, with programs of the versions
// and from the places that the released record says. What made it, which leaves
// nothing in the image, is named only beside something else.
func Reproduced(released, again *Record) []Change {
	out := origins(released.Binaries, again.Binaries)
	if reflect.DeepEqual(released.Boot, again.Boot) && released.Content == again.Content {
		return out
	}
	out = append(out, Diff(released, again)...)
	if !bytes.Equal(released.Boot.GPT, again.Boot.GPT) {
		out = append(out, Change{Kind: "partition table", Name: "GPT", Old: digest.Of(released.Boot.GPT).String(),
			New: digest.Of(again.Boot.GPT).String()})
	}
	out = append(out, events("RTMR1", released.Boot.RTMR1, again.Boot.RTMR1)...)
	out = append(out, events("RTMR2", released.Boot.RTMR2, again.Boot.RTMR2)...)
	return append(out, unlisted(released, again)...)
}

// origins are programs of the same bytes of which the records say two things.
func origins(released, again []Binary) (out []Change) {
	for _, b := range released {
		for _, o := range again {
			if b.Name == o.Name && b.SHA256 == o.SHA256 && b != o {
				out = append(out, Change{Kind: "origin of a binary", Name: b.Name, Old: b.Version + " of " + b.Source,
					New: o.Version + " of " + o.Source})
			}
		}
	}
	return out
}

// events are the measurements that differ, place by place.
func events(register string, released, again []measuredboot.Event) (out []Change) {
	at := func(list []measuredboot.Event, i int) string {
		if i >= len(list) {
			return ""
		}
		return fmt.Sprintf("%s %s %s", list[i].Type, list[i].Words, list[i].Digest)
	}
	for i := range max(len(released), len(again)) {
		if old, is := at(released, i), at(again, i); old != is {
			out = append(out, Change{Kind: "event", Name: fmt.Sprintf("%d of %s", i+1, register), Old: old, New: is})
		}
	}
	return out
}

// unlisted says where to look when the roots differ and no package or listed file does.
func unlisted(released, again *Record) []Change {
	if released.Boot.RootHash == again.Boot.RootHash || released.Content != again.Content {
		return nil
	}
	return []Change{{Kind: "root", Name: "what no list names",
		Old: "the same packages and files",
		New: "another file of a package, or another time, owner or order in the file system"}}
}

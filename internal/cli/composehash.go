package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/compose"
	"github.com/calimero-network/mero-tee/internal/release"
)

// ComposeFile is a compose file that somebody names, the file with the values of
// its variables, and the profile as which it would be deployed; both may be empty.
type ComposeFile struct{ Path, Env, Profile string }

// Any says that something is named: a file is asked about, and no release.
func (f ComposeFile) Any() bool { return f != ComposeFile{} }

// ComposeHash normalizes a compose file and prints its hash, "sha256:… FILE",
// of the canonical form, or with a profile of the app-compose file that would
// be deployed. An app-compose file of a release is hashed as it is. It needs no
// release, no network and no ledger; what is not a compose file has code 2.
func ComposeHash(ctx context.Context, w io.Writer, f ComposeFile) error {
	hash, err := f.hash(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s  %s\n", hash, f.Path)
	return err
}

func (f ComposeFile) hash(ctx context.Context) (hash digest.Digest, err error) {
	if f.Path == "" {
		return hash, &fault.Error{Code: fault.Usage, Message: "no compose file is named", Expected: "-file=FILE", Got: "none"}
	}
	source, err := readJSON(f.Path)
	if err != nil {
		return hash, err
	}
	if _, err := compose.ParseApp(source); err == nil {
		if f.Env != "" || f.Profile != "" {
			return hash, &fault.Error{Code: fault.Usage,
				Message:  f.Path + " is an app-compose file: it has its profile and values",
				Expected: "no -env and no -profile", Got: strings.TrimSpace(f.Env + " " + f.Profile)}
		}
		return compose.Hash(source), nil
	}
	values, err := f.values()
	if err != nil {
		return hash, err
	}
	canonical, err := compose.Canonical(ctx, source, values)
	if err != nil || f.Profile == "" {
		return digest.Of(canonical), err
	}
	app, err := compose.AppCompose(release.Profile(f.Profile), canonical)
	return compose.Hash(app), err
}

// values are those of the file of values; none where none is named.
func (f ComposeFile) values() (map[string]string, error) {
	if f.Env == "" {
		return map[string]string{}, nil
	}
	data, err := readJSON(f.Env)
	if err != nil {
		return nil, err
	}
	out, err := compose.ParseEnv(data)
	return out, fault.At(f.Env, err)
}

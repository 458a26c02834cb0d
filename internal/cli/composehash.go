package cli

import (
	"bytes"
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

// values reads lines NAME=VALUE, as compose's own --env-file: no quotes, no
// replacement, and a comment is a line of its own.
func (f ComposeFile) values() (map[string]string, error) {
	out := map[string]string{}
	if f.Env == "" {
		return out, nil
	}
	data, err := readJSON(f.Env)
	if err != nil {
		return nil, err
	}
	for line := range bytes.Lines(data) {
		text := strings.TrimSpace(string(line))
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		name, value, ok := strings.Cut(text, "=")
		if _, twice := out[name]; !ok || twice || name == "" || strings.ContainsAny(value, `"'`) {
			return nil, &fault.Error{Code: fault.Usage, Message: f.Env + " is not a file of values",
				Expected: "a line NAME=VALUE for each variable, once and without quotes", Got: fmt.Sprintf("%.60q", text)}
		}
		out[name] = value
	}
	return out, nil
}

package actions

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rhysd/actionlint"
)

// use does what an action does. The first error is the step's, the second ours.
func (j *Job) use(ctx context.Context, a *actionlint.ExecAction, c contexts) (failed, err error) {
	in := map[string]string{}
	for name, input := range a.Inputs {
		if in[name], err = c.text(input.Value.Value, nil); err != nil {
			return nil, err
		}
	}
	name, _, _ := strings.Cut(a.Uses.Value, "@")
	do := map[string]func(context.Context, map[string]string) error{
		"actions/checkout": j.checkout, "actions/setup-go": j.setupGo, "actions/upload-artifact": j.upload,
		"actions/download-artifact": j.download, "google-github-actions/auth": j.googleAuth,
	}[name]
	if do == nil {
		return nil, fmt.Errorf("the action %s is not known here", name)
	}
	return do(ctx, in), nil
}

// checkout is a fresh clone at the tag; its remote knows no credentials.
func (j *Job) checkout(ctx context.Context, in map[string]string) error {
	if in["persist-credentials"] != "false" {
		return errors.New("a checkout that keeps the token is not known here")
	}
	source := "file://" + j.run.service.o.Source
	fetch := []string{"fetch", "-q", "--no-tags", "origin"}
	ref := "refs/tags/" + j.run.Tag
	if in["fetch-depth"] == "0" {
		fetch = append(fetch, "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
	} else {
		fetch = append(fetch, "--depth=1", "+"+ref+":"+ref)
	}
	if in["ref"] != "" {
		return errors.New("a checkout of another ref is not known here")
	}
	for _, args := range [][]string{{"init", "-q"}, {"remote", "add", "origin", source}, fetch,
		{"checkout", "-q", "--detach", ref}} {
		if _, err := git(ctx, j.workspace(), args...); err != nil {
			return err
		}
	}
	return nil
}

// setupGo looks for the version; the machine has Go.
func (j *Job) setupGo(_ context.Context, in map[string]string) error {
	_, err := os.Stat(filepath.Join(j.workspace(), in["go-version-file"]))
	return err
}

func (j *Job) upload(_ context.Context, in map[string]string) error {
	return j.run.artifacts.upload(in["name"], j.path(in["path"]), in["overwrite"] == "true")
}

func (j *Job) download(_ context.Context, in map[string]string) error {
	if in["pattern"] == "" {
		return j.run.artifacts.download(in["name"], j.path(in["path"]))
	}
	names, err := j.run.artifacts.matching(in["pattern"])
	for _, name := range names {
		err = errors.Join(err, j.run.artifacts.download(name, filepath.Join(j.path(in["path"]), name)))
	}
	return err
}

func (j *Job) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(j.workspace(), name)
}

// googleAuth leaves a file with credentials in the workspace and names it to the steps that follow.
func (j *Job) googleAuth(_ context.Context, in map[string]string) error {
	if j.bearer == "" {
		return errors.New("google-github-actions/auth failed: ACTIONS_ID_TOKEN_REQUEST_TOKEN is not set; " +
			"is the permission id-token: write missing?")
	}
	if in["workload_identity_provider"] == "" {
		return errors.New("exactly one of workload_identity_provider and credentials_json must be specified")
	}
	file := filepath.Join(j.workspace(), "gha-creds-"+rand.Text()[:8]+".json")
	j.env["GOOGLE_APPLICATION_CREDENTIALS"], j.env["CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE"] = file, file
	return os.WriteFile(file, []byte("{}"), 0o600)
}

package github

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

func (s *Server) file(rel *release, a *asset) string {
	return filepath.Join(s.dir, "releases", rel.Folder, a.Name)
}

// present lists a release's assets whose files are there; a deleted file is a
// deleted asset. An upload that broke off has no file and is listed all the same.
func (s *Server) present(rel *release) []any {
	list := []any{}
	for _, a := range rel.Assets {
		if shown := s.showAsset(rel, a); shown != nil {
			list = append(list, shown)
		}
	}
	return list
}

func (s *Server) listAssets(r *http.Request, st *state) *answer {
	rel := st.release(r.PathValue("id"), who(r))
	if rel == nil {
		return missing
	}
	return page(r, s.present(rel))
}

func (s *Server) getAsset(r *http.Request, st *state) *answer {
	rel, a := st.assetFor(r)
	if rel == nil {
		return missing
	}
	shown := s.showAsset(rel, a)
	if shown == nil || s.isLate(rel, readAsset) {
		return missing
	}
	if strings.Contains(r.Header.Get("Accept"), "application/octet-stream") && a.State == "uploaded" {
		return &answer{status: http.StatusFound, location: s.signed(a)}
	}
	return ok(shown)
}

func (s *Server) deleteAsset(r *http.Request, st *state) *answer {
	rel, a := st.assetFor(r)
	if rel == nil {
		return missing
	}
	if err := os.Remove(s.file(rel, a)); err != nil && !os.IsNotExist(err) {
		return fail(http.StatusInternalServerError, err.Error())
	}
	rel.Assets = slices.DeleteFunc(rel.Assets, func(o *asset) bool { return o == a })
	return &answer{status: http.StatusNoContent}
}

// upload keeps the state unlocked while bytes arrive. Between reserve and land
// the asset is a "starter"; it stays one when the bytes stop.
func (s *Server) upload(w http.ResponseWriter, r *http.Request) {
	if r = s.admit(w, r, writeContents); r == nil {
		return
	}
	if r.ContentLength < 0 {
		write(w, fail(http.StatusBadRequest, "Bad Content-Length: "))
		return
	}
	var id int64
	reserved := s.transact(func(st *state) (a *answer) { id, a = s.reserve(r, st); return a }, true)
	if reserved.status != http.StatusOK {
		write(w, reserved)
		return
	}
	part := filepath.Join(s.incoming(), strconv.FormatInt(id, 10))
	defer os.Remove(part)
	if err := receive(part, r); err != nil {
		write(w, fail(http.StatusBadGateway, "Error saving asset"))
		return
	}
	s.reply(w, r, s.transact(func(st *state) *answer { return s.land(st, id, part) }, true))
}

func (s *Server) reserve(r *http.Request, st *state) (int64, *answer) {
	rel, name := st.release(r.PathValue("id"), who(r)), r.URL.Query().Get("name")
	switch {
	case rel == nil:
		return 0, missing
	case !plainName(name): // GitHub renames here; a client that means the name must not get another
		return 0, invalid("ReleaseAsset", "name", "custom", "name is not well-formed")
	case r.ContentLength == 0:
		return 0, invalid("ReleaseAsset", "size", "custom", "size must be greater than or equal to 1")
	}
	gone := func(a *asset) bool { return s.showAsset(rel, a) == nil }
	rel.Assets = slices.DeleteFunc(rel.Assets, gone)
	if slices.ContainsFunc(rel.Assets, func(a *asset) bool { return a.Name == name }) {
		return 0, invalid("ReleaseAsset", "name", "already_exists", "")
	}
	a := &asset{ID: st.next(), Name: name, ContentType: r.Header.Get("Content-Type"), State: "starter",
		CreatedAt: s.stamp()}
	rel.Assets = append(rel.Assets, a)
	return a.ID, ok(nil)
}

// receive fails when fewer bytes arrive than were announced.
func receive(part string, r *http.Request) error {
	f, err := os.Create(part)
	if err != nil {
		return err
	}
	if _, err = io.CopyN(f, r.Body, r.ContentLength); err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

func (s *Server) land(st *state, id int64, part string) *answer {
	rel, a := st.asset(id)
	if rel == nil {
		return missing // deleted meanwhile
	}
	path := s.file(rel, a)
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.Rename(part, path)
	}
	if err != nil {
		return fail(http.StatusInternalServerError, err.Error())
	}
	a.State = "uploaded"
	return created(s.showAsset(rel, a))
}

// signed is an address in the object store; whoever has it may read the asset,
// a draft's too, as with GitHub's pre-signed addresses.
func (s *Server) signed(a *asset) string {
	id := strconv.FormatInt(a.ID, 10)
	return fmt.Sprintf("https://%s/github-production-release-asset/%s?sig=%s", storageHost, id, s.signature(id))
}

func (s *Server) signature(id string) string {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(id))
	return hex.EncodeToString(mac.Sum(nil))
}

// browserDownload serves public releases to anyone, by name.
func (s *Server) browserDownload(w http.ResponseWriter, r *http.Request) {
	if r = s.admit(w, r, none); r == nil {
		return
	}
	write(w, s.transact(func(st *state) *answer {
		rel := st.public(r.PathValue("tag"))
		if rel == nil || s.isLate(rel, publicDownload) {
			return missing
		}
		for _, a := range rel.Assets {
			if a.Name == r.PathValue("name") && a.State == "uploaded" && s.showAsset(rel, a) != nil {
				return &answer{status: http.StatusFound, location: s.signed(a)}
			}
		}
		return missing
	}, false))
}

// store is the object store. Like the real one it refuses a request that is
// signed and carries a token too.
func (s *Server) store(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	switch {
	case r.Header.Get("Authorization") != "":
		http.Error(w, "Only one auth mechanism allowed", http.StatusBadRequest)
		return
	case !hmac.Equal([]byte(r.URL.Query().Get("sig")), []byte(s.signature(id))):
		http.Error(w, "Signature did not match", http.StatusForbidden)
		return
	}
	f, a, info, err := s.opened(id)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer f.Close()
	w.Header().Set("Content-Type", a.ContentType)
	http.ServeContent(w, r, "", info.ModTime(), f)
}

// opened is the file of an asset, which is a plain one.
func (s *Server) opened(id string) (*os.File, *asset, fs.FileInfo, error) {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return nil, nil, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.load()
	if err != nil {
		return nil, nil, nil, err
	}
	rel, a := st.asset(n)
	if rel == nil {
		return nil, nil, nil, os.ErrNotExist
	}
	info, err := os.Lstat(s.file(rel, a))
	if err == nil && !info.Mode().IsRegular() { // what a link leads to is no asset, and a pipe would wait for ever
		err = os.ErrNotExist
	}
	if err != nil {
		return nil, nil, nil, err
	}
	f, err := os.Open(s.file(rel, a))
	return f, a, info, err
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/go-openapi/runtime"
	"github.com/go-openapi/strfmt"
	"github.com/sigstore/rekor/pkg/generated/models"
	"github.com/sigstore/rekor/pkg/types"
	_ "github.com/sigstore/rekor/pkg/types/dsse/v0.0.1"         // the entry type of a signed statement
	_ "github.com/sigstore/rekor/pkg/types/hashedrekord/v0.0.1" // the entry type of a signed file
)

// api is Rekor v1's HTTP interface, with the paths, statuses and error bodies of its openapi.yaml.
func (l *rekorV1) api() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/log/entries", l.createLogEntry)
	mux.HandleFunc("GET /api/v1/log/entries", l.getLogEntryByIndex)
	mux.HandleFunc("GET /api/v1/log/entries/{id}", l.getLogEntryByUUID)
	mux.HandleFunc("GET /api/v1/log", l.getLogInfo)
	mux.HandleFunc("GET /api/v1/log/publicKey", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-pem-file")
		_, _ = w.Write(l.publicKeyPEM()) // the client went away: there is no one left to tell
	})
	return mux
}

func (l *rekorV1) createLogEntry(w http.ResponseWriter, r *http.Request) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		apiError(w, http.StatusUnsupportedMediaType, fmt.Sprintf("unsupported media type %q", r.Header.Get("Content-Type")))
		return
	}
	body, err := canonicalEntry(r.Context(), r.Body)
	var invalid *invalidEntry
	switch {
	case errors.As(err, &invalid):
		apiError(w, http.StatusUnprocessableEntity, err.Error())
		return
	case err != nil:
		apiError(w, http.StatusBadRequest, "error processing entry: "+err.Error())
		return
	}
	index, fresh, err := l.add(body, time.Now())
	if err != nil {
		apiError(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("Location", r.URL.Path+"/"+entryID(body))
	if !fresh {
		apiError(w, http.StatusConflict, "an equivalent entry already exists in the transparency log with UUID "+
			entryID(body))
		return
	}
	w.Header().Set("ETag", entryID(body))
	l.answer(r.Context(), w, http.StatusCreated, index)
}

// invalidEntry is a body that does not have the shape of an entry.
type invalidEntry struct{ error }

// canonicalEntry reads the proposed entry; Rekor's own code refuses one whose signature does not verify.
func canonicalEntry(ctx context.Context, body io.Reader) ([]byte, error) {
	proposed, err := models.UnmarshalProposedEntry(body, runtime.JSONConsumer())
	if err != nil {
		return nil, err
	}
	if err := proposed.Validate(strfmt.Default); err != nil {
		return nil, &invalidEntry{err}
	}
	entry, err := types.CreateVersionedEntry(proposed)
	if err != nil {
		return nil, err
	}
	return types.CanonicalizeEntry(ctx, entry)
}

func (l *rekorV1) getLogEntryByIndex(w http.ResponseWriter, r *http.Request) {
	index, err := strconv.ParseInt(r.URL.Query().Get("logIndex"), 10, 64)
	if err != nil || index < 0 {
		apiError(w, http.StatusUnprocessableEntity, "logIndex in query must be of type int64 and at least 0")
		return
	}
	l.answer(r.Context(), w, http.StatusOK, index-earlier)
}

func (l *rekorV1) getLogEntryByUUID(w http.ResponseWriter, r *http.Request) {
	index, ok := l.find(r.PathValue("id"))
	if !ok {
		index = -1
	}
	l.answer(r.Context(), w, http.StatusOK, index)
}

// answer is the entry at index, or a 404 without a body, as Rekor's is.
func (l *rekorV1) answer(ctx context.Context, w http.ResponseWriter, status int, index int64) {
	entry, ok, err := l.entry(ctx, index)
	switch {
	case err != nil:
		apiError(w, http.StatusInternalServerError, err.Error())
	case !ok:
		w.WriteHeader(http.StatusNotFound)
	default:
		writeJSON(w, status, entry)
	}
}

func (l *rekorV1) getLogInfo(w http.ResponseWriter, r *http.Request) {
	info, err := l.info(r.Context())
	if err != nil {
		apiError(w, http.StatusInternalServerError, err.Error())
		return
	}
	writeJSON(w, http.StatusOK, info)
}

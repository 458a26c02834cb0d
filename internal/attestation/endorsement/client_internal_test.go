package endorsement

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// "None" is believed of Cloud Storage's own words alone, and never of a page that only mentions them.
func FuzzMissing(f *testing.F) {
	for _, s := range []string{`<?xml version='1.0' encoding='UTF-8'?><Error><Code>NoSuchKey</Code></Error>`,
		`<Error><Code>NoSuchBucket</Code></Error>`, `<html>NoSuchKey</html>`, `<Error><Code>NoSuchKey</Code>`, "",
		`<Error><Code>No</Code><Code>NoSuchKey</Code></Error>`, `<a><Error><Code>NoSuchKey</Code></Error></a>`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		err := missing(&http.Response{StatusCode: http.StatusNotFound, Status: "404 Not Found", Header: http.Header{},
			Body: io.NopCloser(bytes.NewReader(body))})
		require.Error(t, err)
		if !errors.Is(err, ErrNone) {
			return
		}
		var root struct{ XMLName xml.Name }
		require.NoError(t, xml.Unmarshal(body, &root))
		require.Equal(t, "Error", root.XMLName.Local)
		require.Contains(t, string(body), "NoSuchKey")
	})
}

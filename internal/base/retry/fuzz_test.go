package retry_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/retry"
)

// A server's wish is never a pause that ended already, and a number of seconds, however large, is one.
func FuzzAfter(f *testing.F) {
	for _, s := range []string{"", "0", "7", "-1", "007", "99999999999999999999", "Fri, 27 Nov 2026 12:00:00 GMT",
		"Friday, 27-Nov-26 12:00:00 GMT", "1e3", " 5", "Fri, 31 Dec 9999 23:59:59 GMT"} {
		f.Add(s, "Fri, 27 Nov 2026 11:59:00 GMT")
		f.Add(s, "")
	}
	f.Fuzz(func(t *testing.T, value, date string) {
		after := retry.After(http.Header{"Retry-After": {value}, "Date": {date}})
		require.GreaterOrEqual(t, after, time.Duration(0))
		digits := value != "" && strings.Trim(value, "0123456789") == ""
		if digits && strings.Trim(value, "0") != "" {
			require.Greater(t, after, time.Duration(0), "%q", value)
		}
	})
}

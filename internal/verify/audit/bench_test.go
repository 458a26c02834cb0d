package audit_test

import (
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/audit"
)

// BenchmarkRelease verifies a whole release of each family from a folder. What
// SHA-256 over the same bytes takes alone is subtracted: the rest is the verifier's.
func BenchmarkRelease(b *testing.B) {
	h, err := nodes()
	require.NoError(b, err)
	for _, tag := range []release.Tag{stable, node} {
		b.Run(string(tag.Family), func(b *testing.B) {
			subject := audit.Subject{Tag: tag, Commit: commit, Repository: repository, Trust: trust(b, local), TDXRoot: tdxRoot,
				Sources: clone(commit), Offline: true}
			if tag.Family == release.Node {
				subject.TDXRoot, subject.GoogleRoot = h.pki.RootSHA256(), h.google.RootSHA256()
			}
			benchmark(b, made(b, tag, nil), subject)
		})
	}
}

func benchmark(b *testing.B, dir string, subject audit.Subject) {
	b.Helper()
	scratch := b.TempDir()
	b.ResetTimer()
	for b.Loop() {
		report, err := audit.Release(b.Context(), audit.Folder{Dir: dir}, scratch, subject)
		require.NoError(b, err)
		require.NoError(b, report.Results.Err())
	}
	each := b.Elapsed() / time.Duration(b.N)
	b.StopTimer()
	assets := subject.Tag.Family.ExpectedAssets()
	start := time.Now()
	for range b.N {
		hashAll(b, dir, assets)
	}
	hashing := time.Since(start) / time.Duration(b.N)
	b.ReportMetric(float64(each-hashing)/1e6, "ms-beyond-hashing")
	b.ReportMetric(float64(len(assets)), "files")
}

func hashAll(b *testing.B, dir string, assets []string) {
	b.Helper()
	for _, name := range assets {
		f, err := os.Open(filepath.Join(dir, name))
		require.NoError(b, err)
		_, err = io.Copy(sha256.New(), f)
		require.NoError(b, err)
		require.NoError(b, f.Close())
	}
}

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

// BenchmarkRelease verifies a whole KMS release from a folder. What SHA-256
// over the same bytes takes alone is subtracted: the rest is the verifier's.
func BenchmarkRelease(b *testing.B) {
	dir := released(b)
	subject := audit.Subject{Tag: stable, Commit: commit, Repository: repository, Trust: trust(b, local), TDXRoot: tdxRoot,
		Sources: clone(commit)}
	scratch := b.TempDir()
	b.ResetTimer()
	for b.Loop() {
		report, err := audit.Release(b.Context(), audit.Folder{Dir: dir}, scratch, subject)
		require.NoError(b, err)
		require.NoError(b, report.Results.Err())
	}
	each := b.Elapsed() / time.Duration(b.N)
	b.StopTimer()
	start := time.Now()
	for range b.N {
		hashAll(b, dir)
	}
	hashing := time.Since(start) / time.Duration(b.N)
	b.ReportMetric(float64(each-hashing)/1e6, "ms-beyond-hashing")
	b.ReportMetric(float64(len(release.KMS.ExpectedAssets())), "files")
}

func hashAll(b *testing.B, dir string) {
	b.Helper()
	for _, name := range release.KMS.ExpectedAssets() {
		f, err := os.Open(filepath.Join(dir, name))
		require.NoError(b, err)
		_, err = io.Copy(sha256.New(), f)
		require.NoError(b, err)
		require.NoError(b, f.Close())
	}
}

package cli

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	rehearsal "github.com/calimero-network/mero-tee/internal/rehearsal/github"
	"github.com/calimero-network/mero-tee/internal/rehearsal/network"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tested"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
	"github.com/calimero-network/mero-tee/policies"
	"github.com/calimero-network/mero-tee/policies/propose"
)

// proposing is an operator at a GitHub whose main branch holds the shipped policies.
func proposing(t *testing.T) (*operator, *bytes.Buffer) {
	t.Helper()
	s, err := rehearsal.New(rehearsal.Options{Dir: t.TempDir(), Repository: config.DefaultRepository, Token: "secret",
		Prompt: true})
	require.NoError(t, err)
	files := map[string][]byte{}
	for _, p := range release.Profiles() {
		name := "policies/" + policies.File(p)
		files[name], err = os.ReadFile(filepath.Join("../..", name))
		require.NoError(t, err)
	}
	require.NoError(t, s.Push("refs/heads/main", strings.Repeat("a", 40), files))
	n := network.New()
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	for _, host := range rehearsal.Hosts() {
		require.NoError(t, n.Handle(host, s))
	}
	c, err := github.New(github.Options{Repository: config.DefaultRepository, Token: "secret", Transport: n.Transport()})
	require.NoError(t, err)
	var said bytes.Buffer
	env := &environment.Environment{Settings: environment.Settings{
		Config:    &config.Config{Repository: config.DefaultRepository, CatalogPath: catalog.Path},
		Transport: n.Transport(), Banner: "REHEARSAL",
		Trust: func(context.Context) (root.TrustedMaterial, error) { return nil, nil }}}
	return &operator{console: console.New(&said, false), env: env, github: c}, &said
}

func TestWhatDoesNotExistIsNotPromoted(t *testing.T) {
	t.Parallel()
	o, _ := proposing(t)
	node, err := parseNode("mero-tee-v9.9.9")
	require.NoError(t, err)
	_, err = o.published(t.Context(), node)
	require.ErrorIs(t, err, github.ErrNotFound)
	require.Equal(t, fault.MissingAsset, fault.CodeOf(err))
	require.ErrorContains(t, err, "there is no tag mero-tee-v9.9.9")
	for name, message := range map[string]string{"mero-kms-v1.0.0": "not a tag of the node images",
		"": "no node release is named"} {
		_, err = parseNode(name)
		require.Equal(t, fault.Usage, fault.CodeOf(err), name)
		require.ErrorContains(t, err, message)
	}
}

func TestADryRunProposesNothing(t *testing.T) {
	t.Parallel()
	o, said := proposing(t)
	before, err := propose.Load(t.Context(), o.github, propose.Base)
	require.NoError(t, err)
	data, err := os.ReadFile("../attestation/measurement/testdata/node.json")
	require.NoError(t, err)
	p, err := propose.Promote(before, data, propose.Voucher{Tests: vouching(t, data)})
	require.NoError(t, err)

	require.NoError(t, o.propose(t.Context(), p, true))
	require.Contains(t, said.String(), "nothing was proposed")
	_, err = propose.Load(t.Context(), o.github, p.Branch())
	require.ErrorIs(t, err, github.ErrNotFound, "no branch was made")

	require.NoError(t, o.propose(t.Context(), p, false))
	require.Contains(t, said.String(), "labelled policy-promotion: https://github.com/")
	after, err := propose.Load(t.Context(), o.github, p.Branch())
	require.NoError(t, err)
	require.Equal(t, p.After, after)

	p.After = p.Before
	require.NoError(t, o.propose(t.Context(), p, false))
	require.Contains(t, said.String(), "hold all of this already")
}

// vouching is a successful E2E of what a node release publishes.
func vouching(t *testing.T, data []byte) policies.Tests {
	t.Helper()
	node, err := measurement.Decode(data)
	require.NoError(t, err)
	e, err := tested.Passed(tested.Candidate(node.Tag), data, time.Unix(0, 0))
	require.NoError(t, err)
	return policies.Tests{node.Tag: {e}}
}

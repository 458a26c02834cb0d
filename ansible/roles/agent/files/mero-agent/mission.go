package main

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/provider/gce/guestattr"
)

// run accomplishes the mission and reports, also when something failed.
func (o *options) run(ctx context.Context, stdout io.Writer) error {
	m, err := o.mission(ctx)
	r := &agent.Report{Profile: o.node.Profile}
	if err == nil {
		r, err = o.node.Accomplish(ctx, m)
	} else {
		r.Fail(err)
	}
	return errors.Join(err, o.send(ctx, r, stdout))
}

// mission reads what the operator wants, from where the flags say.
func (o *options) mission(ctx context.Context) (m agent.Mission, err error) {
	if o.metadata { // boot may be faster than the metadata server, which is waited for
		return agent.ReadMission(ctx, o.server().Attribute)
	}
	if m, err = agent.ParseMission(map[string]string{agent.NonceAttribute: o.nonce}); err == nil && o.config != "" {
		m.Config, err = readFile(o.config, canonical.MaxSize)
	}
	return m, err
}

func (o *options) server() *guestattr.Metadata {
	return &guestattr.Metadata{Host: o.metadataHost, HTTP: &http.Client{Transport: &http.Transport{Proxy: nil}}}
}

// send writes the report where the operator reads it.
func (o *options) send(ctx context.Context, r *agent.Report, stdout io.Writer) error {
	data, err := r.Encode()
	if err != nil {
		return err
	}
	if !o.metadata {
		_, err = stdout.Write(data)
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reportPatience)
	defer cancel()
	return o.server().Publish(ctx, guestattr.Namespace, guestattr.ReportName, data)
}

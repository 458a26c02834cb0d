package companion

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// traefikFlags are those that node images use, in lower case as traefik compares
// them; true: its value is true or false.
var traefikFlags = map[string]bool{"entrypoints.web.address": false, "providers.file.directory": false,
	"providers.file.watch": true, "global.sendanonymoususage": true, "global.checknewversion": true}

// dynamic is a file of traefik's file provider, of which a key that this
// stand-in does not know is an error.
type dynamic struct {
	HTTP struct {
		Routers map[string]struct {
			EntryPoints []string `yaml:"entryPoints"`
			Rule        string   `yaml:"rule"`
			Service     string   `yaml:"service"`
		} `yaml:"routers"`
		Services map[string]struct {
			LoadBalancer struct {
				Servers []struct {
					URL string `yaml:"url"`
				} `yaml:"servers"`
			} `yaml:"loadBalancer"`
		} `yaml:"services"`
	} `yaml:"http"`
}

// router leads the requests of a rule to a server.
type router struct {
	text  string
	rule  rule
	proxy http.Handler
}

func runTraefik(ctx context.Context, p Process) error {
	given, err := readTraefik(p.Args[1:])
	if err != nil {
		return err
	}
	routers, err := p.routers(given["providers.file.directory"])
	if err != nil {
		return err
	}
	return p.serve(ctx, given["entrypoints.web.address"], traefikHandler(routers))
}

func readTraefik(args []string) (map[string]string, error) {
	given := map[string]string{}
	for _, arg := range args {
		name, value, ok := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		name = strings.ToLower(name)
		truth, known := traefikFlags[name]
		if !strings.HasPrefix(arg, "--") || !ok || !known {
			return nil, fmt.Errorf("failed to decode configuration from flags: field not found, node: %s", arg)
		}
		if _, err := strconv.ParseBool(value); truth && err != nil {
			return nil, fmt.Errorf("failed to decode configuration from flags: %s: %w", arg, err)
		}
		given[name] = value
	}
	for _, name := range []string{"entrypoints.web.address", "providers.file.directory"} {
		if given[name] == "" {
			return nil, fmt.Errorf("--%s is missing", name)
		}
	}
	return given, nil
}

// routers are those of a folder's files, in the order in which they are tried.
func (p Process) routers(dir string) ([]router, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.y*ml"))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("no configuration in %s", dir)
	}
	if err != nil {
		return nil, err
	}
	var out []router
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		more, err := p.parseDynamic(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out = append(out, more...)
	}
	slices.SortStableFunc(out, func(a, b router) int { // the longer rule first: traefik's priority
		return cmp.Or(cmp.Compare(len(b.text), len(a.text)), strings.Compare(a.text, b.text))
	})
	return out, nil
}

func (p Process) parseDynamic(text []byte) (out []router, err error) {
	var d dynamic
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&d); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	for name, r := range d.HTTP.Routers {
		made := router{text: r.Rule}
		if made.rule, err = parseRule(r.Rule); err != nil {
			return nil, fmt.Errorf("router %s: %w", name, err)
		}
		for _, entry := range r.EntryPoints {
			if entry != "web" {
				return nil, fmt.Errorf("router %s: EntryPoint doesn't exist: %s", name, entry)
			}
		}
		service, there := d.HTTP.Services[r.Service]
		if !there || len(service.LoadBalancer.Servers) != 1 {
			return nil, fmt.Errorf("router %s: service %q does not have one server", name, r.Service)
		}
		if made.proxy, err = p.proxy(service.LoadBalancer.Servers[0].URL); err != nil {
			return nil, fmt.Errorf("service %s: %w", r.Service, err)
		}
		out = append(out, made)
	}
	return out, nil
}

// proxy answers 502 for a server that it does not reach, as traefik does.
func (p Process) proxy(server string) (http.Handler, error) {
	to, err := url.Parse(server)
	if err != nil || to.Scheme != "http" || to.Port() == "" {
		return nil, fmt.Errorf("%q is not http://host:port", server)
	}
	if to.Host, err = p.place(to.Host); err != nil {
		return nil, err
	}
	return &httputil.ReverseProxy{
		Transport: &http.Transport{}, // no proxy of this machine's environment
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(to); r.SetXForwarded(); r.Out.Host = r.In.Host },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			http.Error(w, http.StatusText(http.StatusBadGateway), http.StatusBadGateway)
		}}, nil
}

func traefikHandler(routers []router) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawPath != "" { // an encoded slash, or the like: who decodes it decides where it leads
			http.Error(w, http.StatusText(http.StatusBadRequest), http.StatusBadRequest)
			return
		}
		for _, to := range routers {
			if to.rule(r) {
				to.proxy.ServeHTTP(w, r)
				return
			}
		}
		http.Error(w, "404 page not found", http.StatusNotFound)
	})
}

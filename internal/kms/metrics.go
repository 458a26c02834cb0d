package kms

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/calimero-network/mero-tee/internal/kms/wire"
)

// metrics are what Prometheus reads. No label comes from a request: who asked,
// for what and with which quote stands in the log alone.
type metrics struct {
	registry  *prometheus.Registry
	requests  *prometheus.CounterVec
	decisions *prometheus.CounterVec
	duration  *prometheus.HistogramVec
}

func newMetrics(s *Service) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mero_kms_requests_total",
			Help: "Requests by endpoint and HTTP status."}, []string{"endpoint", "status"}),
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mero_kms_decisions_total",
			Help: "Requests for a key by result (released, refused) and reason (the error's tag)."},
			[]string{"result", "reason"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "mero_kms_decision_seconds",
			Help:    "Time from a whole request for a key to its answer, by result.",
			Buckets: prometheus.ExponentialBuckets(0.00025, 2, 16)}, []string{"result"}),
	}
	m.registry.MustRegister(m.requests, m.decisions, m.duration,
		gauge("mero_kms_challenges_used",
			"Used challenges that are remembered (with Redis: its keys); NaN when it does not answer.", s.usedChallenges),
		gauge("mero_kms_policy_ready", "1 when keys may be released.", s.policyReady),
		gauge("mero_kms_collateral_age_seconds", "Age of the oldest collateral in memory; NaN when there is none.",
			s.collateralAge),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mero_kms_info", Help: "Always 1.",
			ConstLabels: prometheus.Labels{"version": s.config.Version.String(), "profile": string(s.config.Profile)}},
			func() float64 { return 1 }),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func gauge(name, help string, value func() float64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
}

func (s *Service) usedChallenges() float64 {
	ctx, cancel := context.WithTimeout(context.Background(), redisAnswer)
	defer cancel()
	n, err := s.challenges.used.count(ctx, s.parts.Now())
	if err != nil {
		return math.NaN()
	}
	return float64(n)
}

func (s *Service) policyReady() float64 {
	if s.policy.state.Load().policy == nil {
		return 0
	}
	return 1
}

func (s *Service) collateralAge() float64 {
	if s.parts.CollateralAge == nil {
		return math.NaN()
	}
	age, any := s.parts.CollateralAge()
	if !any {
		return math.NaN()
	}
	return age.Seconds()
}

// answered counts one answer; tag is empty when there was no error. Endpoint is
// one of the service's own, never what was asked for.
func (m *metrics) answered(endpoint string, status int, tag string, took time.Duration) {
	m.requests.WithLabelValues(endpoint, strconv.Itoa(status)).Inc()
	if endpoint != getKeyPath {
		return
	}
	result, reason := "released", "admitted"
	if tag != "" {
		result, reason = "refused", tag
	}
	m.decisions.WithLabelValues(result, reason).Inc()
	m.duration.WithLabelValues(result).Observe(took.Seconds())
}

// MetricsHandler serves /metrics, for a listener that strangers do not reach.
func (s *Service) MetricsHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.registry,
		promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second}))
	mux.HandleFunc("/", s.endpoint(endpoint{path: "other", answer: func(*http.Request) (any, error) {
		return nil, refuse(http.StatusNotFound, wire.NotFound, "the endpoint is GET /metrics")
	}}))
	return mux
}

package kms

import "context"

// LoadPolicy fetches the policy as Serve does, for tests that only need the handler.
func (s *Service) LoadPolicy(ctx context.Context) error { return s.policy.load(ctx) }

// TryPolicy is one attempt of LoadPolicy; a failure is what /health then tells.
func (s *Service) TryPolicy(ctx context.Context) error {
	state, err := s.policy.try(ctx)
	if err != nil {
		state = &policyState{reason: err.Error()}
	}
	s.policy.state.Store(state)
	return err
}

// FillQueues leaves room for no further decision or quote, until empty is called.
func (s *Service) FillQueues() (empty func()) {
	for _, l := range []limiter{s.decisions, s.quotes} {
		for range cap(l.waiting) {
			l.waiting <- struct{}{}
		}
	}
	return func() {
		for _, l := range []limiter{s.decisions, s.quotes} {
			for range cap(l.waiting) {
				<-l.waiting
			}
		}
	}
}

// PublicRootDate is said of the trusted root that the program carries.
const PublicRootDate = publicRootDate

// MaxConnections are open at a time.
const MaxConnections = maxConnections

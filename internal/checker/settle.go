package checker

import (
	"context"
	"time"
)

// Settle looks again and again until nothing is wrong in two looks running, for a state that only passes by is none, or
// until ctx ends. It returns what was wrong in the last look.
func (c *Checker) Settle(ctx context.Context, every time.Duration, look func() (State, error), uploads func() []Upload, allowed Allowed) ([]Violation, error) {
	for clean := 0; ; {
		s, err := look()
		var found []Violation
		if err == nil {
			found = c.Check(uploads(), s, allowed)
		}
		if clean++; err != nil || len(found) > 0 {
			clean = 0
		}
		if clean == 2 {
			return nil, nil
		}
		select {
		case <-time.After(every):
		case <-ctx.Done():
			return found, err
		}
	}
}

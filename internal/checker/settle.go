package checker

import (
	"cmp"
	"context"
	"time"
)

// Settle looks again and again until nothing is wrong in two looks running, for a state that only passes by is none, or
// until ctx ends. It returns what was wrong in the last look that came to its end, and an error if that was nothing: then
// nobody knows yet.
func (c *Checker) Settle(ctx context.Context, every time.Duration, look func() (State, error), uploads func() []Upload, allowed Allowed) ([]Violation, error) {
	var found []Violation
	for clean := 0; ; {
		s, err := look()
		if err != nil {
			clean = 0
		} else if found = c.Check(uploads(), s, allowed); len(found) > 0 {
			clean = 0
		} else if clean++; clean == 2 {
			return nil, nil
		}
		select {
		case <-time.After(every):
		case <-ctx.Done():
			if len(found) > 0 {
				return found, nil
			}
			return nil, cmp.Or(err, ctx.Err())
		}
	}
}

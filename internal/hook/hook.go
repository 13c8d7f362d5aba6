// Package hook is what a webhook is: an address that its owner wants to be told at when a job is done or has failed, the
// deliveries to it, and the signature by which a receiver knows them to be ours (Standard Webhooks). As package job it does
// no I/O: stores keep both under their Version, and every transition is a method here that is applied by a store's Update.
//
// Couriers claim hooks, not deliveries: whoever holds a hook's lease makes its deliveries one after the other. So an endpoint
// is never asked twice at once, by however many processes, and a dead one costs one courier one patience at a time.
package hook

import (
	"time"

	"mp3converter/internal/job"
)

// MaxEach is how many hooks an owner may have.
const MaxEach = 10

// maxRest bounds the pause that an endpoint is given that does not answer: new deliveries wait no longer for it.
const maxRest = 5 * time.Minute

// Rules are the times by which deliveries are made. Every courier of one installation must have the same.
type Rules struct {
	Steps []time.Duration // waits after each try that failed; after the last one's try the delivery has failed. At least one
	Lease time.Duration   // a courier silent in the store for this long is dead
	Skew  time.Duration   // how far the clocks of two processes may differ
}

// Hook is the record of a webhook. The store owns Version. Times are as a job's: UTC, to a millisecond, zero for never.
type Hook struct {
	ID      string    `bson:"_id" json:"id"` // as a job's
	Version int64     `bson:"version" json:"version"`
	Owner   string    `bson:"owner" json:"owner"` // e-mail address
	Slot    int       `bson:"slot" json:"slot"`   // below MaxEach and one of the owner's own, which is how stores keep them few
	URL     string    `bson:"url" json:"url"`     // may hold a secret of the receiver's: not for logs
	Secret  Secret    `bson:"secret" json:"secret"`
	Created time.Time `bson:"created" json:"created"`

	NextAt     time.Time `bson:"next_at,omitempty" json:"next_at,omitzero"` // when a courier is to come
	LeaseUntil time.Time `bson:"lease_until,omitempty" json:"lease_until,omitzero"`
	Visits     int       `bson:"visits,omitempty" json:"visits,omitempty"` // claims so far: the fence that stale couriers fail at
	Wakes      int       `bson:"wakes,omitempty" json:"wakes,omitempty"`   // so far; by them a courier sees that there is more by now

	Failures  int       `bson:"failures,omitempty" json:"failures,omitempty"` // in a row, to give any answer that counts
	RestUntil time.Time `bson:"rest_until,omitempty" json:"rest_until,omitzero"`
	Disabled  time.Time `bson:"disabled,omitempty" json:"disabled,omitzero"` // the receiver has answered 410 Gone
}

// New returns a hook with a secret of its own.
func New(now time.Time, owner, url string, slot int) Hook {
	return Hook{ID: job.NewID(now), Owner: owner, Slot: slot, URL: url, Secret: NewSecret(), Created: stamp(now)}
}

// IsDisabled reports whether nothing is sent but tests.
func (h Hook) IsDisabled() bool { return !h.Disabled.IsZero() }

// Misses reports whether a job that has ended at that time had done so before the hook was made. Of a minute nobody can say: the
// time is noted before it is stored, and by another clock. To miss an end is worse than to be told of an older one.
func (h Hook) Misses(ended time.Time) bool { return h.Created.After(ended.Add(time.Minute)) }

// Wake notes that there is something to deliver. A courier that is at work finds out when it leaves.
func (h *Hook) Wake(now time.Time) error {
	h.Wakes++
	if now.Before(h.LeaseUntil) {
		return nil
	}
	at := later(stamp(now), h.RestUntil)
	if h.NextAt.IsZero() || at.Before(h.NextAt) {
		h.NextAt = at
	}
	return nil
}

// Claim gives the hook to a courier until the lease runs out.
func (h *Hook) Claim(now time.Time, rules Rules) error {
	now = stamp(now)
	switch {
	case h.NextAt.IsZero():
		return job.ErrState
	case now.Before(h.LeaseUntil):
		return job.ErrBusy
	case now.Before(h.NextAt):
		return job.ErrNotYet
	}
	h.Visits++
	h.LeaseUntil = now.Add(rules.Lease)
	h.NextAt = h.LeaseUntil.Add(rules.Skew)
	return nil
}

// Visit is what a courier has seen of an endpoint while it had the lease.
type Visit struct {
	Number, Wakes int       // the hook's Visits and Wakes as it was claimed
	Answered      bool      // with anything that shows the receiver to be there
	Away          bool      // then it was not
	Proven        bool      // it has accepted a test
	Gone          bool      // it does not want to be called any more
	Next          time.Time // when the next delivery is due; zero if none is
}

// Leave ends a visit. A hook with more that is due goes to the end of the line: nobody's deliveries, by being old, keep
// others' waiting.
func (h *Hook) Leave(now time.Time, rules Rules, v Visit) error {
	if h.Visits != v.Number {
		return job.ErrLost
	}
	now = stamp(now)
	h.LeaseUntil = time.Time{}
	if v.Answered {
		h.Failures, h.RestUntil = 0, time.Time{}
	}
	if v.Away {
		h.Failures++
		h.RestUntil = now.Add(min(rules.after(h.Failures), maxRest))
	}
	if v.Proven {
		h.Disabled = time.Time{}
	}
	if v.Gone {
		h.Disabled = now
	}
	h.NextAt = v.Next
	if h.Wakes != v.Wakes {
		h.NextAt = now
	}
	if !h.NextAt.IsZero() {
		h.NextAt = later(later(h.NextAt, now), h.RestUntil)
	}
	return nil
}

// Orphaned notes that every courier is known to be dead, as when a suite in one process starts: no lease counts.
func (h *Hook) Orphaned(now time.Time) {
	if now.Before(h.LeaseUntil) {
		h.LeaseUntil = time.Time{}
		h.NextAt = later(stamp(now), h.RestUntil)
	}
}

// after is the wait after the n-th try that failed, n from 1; the last one repeats.
func (r Rules) after(n int) time.Duration { return r.Steps[min(n, len(r.Steps))-1] }

// stamp cuts a time to what every store can keep.
func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

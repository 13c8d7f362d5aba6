package hook

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"mp3converter/internal/job"
)

// State says where a delivery stands.
type State string

// The states. A replay makes the last two pending again.
const (
	Pending   State = "pending"
	Delivered State = "delivered" // the receiver has answered 2xx
	Failed    State = "failed"    // given up: after the last try, or because the hook is disabled
)

// Delivery is the record of one event on its way to one hook. The store owns Version.
type Delivery struct {
	ID      string `bson:"_id" json:"id"` // the webhook-id, see id: it sorts by age, and is the same however often the event is told
	Version int64  `bson:"version" json:"version"`
	Hook    string `bson:"hook" json:"hook"`
	Event   Event  `bson:"event" json:"event"`
	Job     string `bson:"job,omitempty" json:"job,omitempty"` // none of a Ping
	Body    string `bson:"body" json:"body"`                   // as it is sent at every try

	State    State     `bson:"state" json:"state"`
	Attempts int       `bson:"attempts,omitempty" json:"attempts,omitempty"` // tries so far. Only grows: a fence
	Failures int       `bson:"failures,omitempty" json:"failures,omitempty"` // of them since the last replay
	DueAt    time.Time `bson:"due_at,omitempty" json:"due_at,omitzero"`      // the next try; zero unless Pending
	Status   int       `bson:"status,omitempty" json:"status,omitempty"`     // of the last answer; 0 if none came
	Error    string    `bson:"error,omitempty" json:"error,omitempty"`       // why the last try failed

	Created time.Time `bson:"created" json:"created"`
	Changed time.Time `bson:"changed" json:"changed"` // the log keeps it for so long after this
}

// Answer is what came of a try.
type Answer struct {
	Status int    // HTTP status; 0 if there was none
	Error  string // for the owner: why there was none, or what was wrong with it
}

// OK reports whether the receiver has the delivery.
func (a Answer) OK() bool { return a.Status >= 200 && a.Status < 300 }

// Gone reports whether the receiver wants no more of them.
func (a Answer) Gone() bool { return a.Status == http.StatusGone }

// Away reports whether nobody was there who could have taken any delivery: others need not be tried now.
func (a Answer) Away() bool {
	switch a.Status {
	case 0, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	default:
		return false
	}
}

// maxError bounds what is kept of an Answer's Error, in bytes.
const maxError = 300

func (a Answer) why() string {
	text := a.Error
	if text == "" {
		text = fmt.Sprintf("answered %d", a.Status)
	}
	return strings.ToValidUTF8(text[:min(len(text), maxError)], "")
}

// Tried notes what came of a try, which was begun after the given number of attempts.
func (d *Delivery) Tried(now time.Time, rules Rules, attempts int, a Answer) error {
	if d.State != Pending || d.Attempts != attempts {
		return job.ErrLost
	}
	now = stamp(now)
	d.Attempts, d.Status, d.Changed = attempts+1, a.Status, now
	if a.OK() {
		d.State, d.DueAt, d.Error = Delivered, time.Time{}, ""
		return nil
	}
	d.Failures++
	d.Error = a.why()
	if a.Gone() || d.Failures > len(rules.Steps) {
		d.State, d.DueAt = Failed, time.Time{}
		return nil
	}
	d.DueAt = now.Add(rules.after(d.Failures))
	return nil
}

// Drop gives up on a delivery that need not be tried.
func (d *Delivery) Drop(now time.Time, why string) error {
	if d.State != Pending {
		return job.ErrState
	}
	d.State, d.DueAt, d.Error, d.Changed = Failed, time.Time{}, why, stamp(now)
	return nil
}

// Replay has the delivery made anew, at once and with all its tries, whatever has become of it.
func (d *Delivery) Replay(now time.Time) error {
	now = stamp(now)
	d.State, d.Failures, d.DueAt, d.Changed = Pending, 0, now, now
	return nil
}

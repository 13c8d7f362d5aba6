package gateway

import (
	"context"
	"time"

	"mp3converter/internal/job"
)

// Janitor does what the sweeper does about garbage, for an operator who wants it done now, or to know beforehand.
type Janitor struct{ cleaner }

// NewJanitor returns a Janitor. The sweepers may go on beside it.
func NewJanitor(ledger Rounds, videos, mp3s Files, rules job.Rules) Janitor {
	return Janitor{cleaner{ledger, videos, mp3s, rules}}
}

// Garbage is what one job has left, and why it counts no more.
type Garbage struct {
	Job          job.Job
	Why          string
	Videos, MP3s []string // ids; there may be nothing under them
}

// GarbageOf is what Clean would remove of a job that is CleanDue.
func GarbageOf(j job.Job, now time.Time, rules job.Rules) Garbage {
	g := Garbage{Job: j, Why: "attempts that came to nothing"}
	switch j.State {
	case job.Uploading:
		g.Why = "an upload that died"
		_ = j.Delete(now) // as clean does; j is our own copy
	case job.Deleted:
		g.Why = "a deleted job"
	default:
		_ = j.Expire(now, rules) // refused if there is nothing such
		if j.VideoLeft || j.MP3Gone {
			g.Why = "kept as long as its owner was told"
		}
	}
	g.Videos, g.MP3s = j.Garbage()
	return g
}

// Clean removes it; job.ErrState or fs.ErrNotExist if somebody else was faster. An upload that has come to life since is
// job.ErrState too, and keeps what it has.
func (jan Janitor) Clean(ctx context.Context, g Garbage) error { return jan.clean(ctx, g.Job) }

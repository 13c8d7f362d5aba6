// Package porttest holds the suites that every store and queue must pass, embedded and real alike, and with them the
// ports' full terms: what a service may rely on, and what an adapter must do. A service states the one to three methods
// it needs in its own package; the interfaces here are the sum, for the suites only.
//
// Any error that is not one named here means that the store or broker is away or broken: nobody's fault, try later.
package porttest

import (
	"context"
	"io"
	"time"

	"mp3converter/internal/hook"
	"mp3converter/internal/job"
	"mp3converter/internal/partial"
)

// Files stores videos or MP3s, whole or not at all.
type Files interface {
	// Put stores what r yields until io.EOF under f.ID and returns f with Bytes, SHA256 and Stored filled in. When it
	// returns nil the file is durable. On an error, r's own included (it is in the chain), nothing is readable and nothing
	// left behind, even if ctx is over by then; fs.ErrExist means the id is taken. Put uses bounded memory and the calls
	// for many files run in parallel.
	Put(ctx context.Context, f job.File, r io.Reader) (job.File, error)
	// Open returns a file and its bytes from the start; fs.ErrNotExist if there is none. A read fails with an error, never
	// with a clean io.EOF, when the bytes end before File.Bytes. Reads obey ctx. The reader of what Put stored has Parts.
	Open(ctx context.Context, id string) (job.File, io.ReadSeekCloser, error)
	// Delete removes the file and every piece a dead Put left under the id. Absence is nil.
	Delete(ctx context.Context, id string) error
}

// Parts reads a part of a file, each piece of it held against what was stored.
type Parts interface {
	// Copy writes what choose returns to a file that is as long, at its place, and returns how many bytes it read. It is 0
	// if the file is to be read whole: that is as cheap, or the pieces are not what was stored.
	Copy(to partial.Scratch, choose func(io.ReaderAt) []job.Span) (int64, error)
}

// Ledger stores jobs.
type Ledger interface {
	// Insert stores a new job at Version 1; fs.ErrExist if its ID or Key is taken.
	Insert(ctx context.Context, j job.Job) error
	// Get returns the job; fs.ErrNotExist if there is none.
	Get(ctx context.Context, id string) (job.Job, error)
	// ByKey returns the job with that Key; fs.ErrNotExist if there is none.
	ByKey(ctx context.Context, key string) (job.Job, error)
	// ByMP3 returns the owner's Visible job whose MP3 has that id; fs.ErrNotExist if there is none.
	ByMP3(ctx context.Context, owner, id string) (job.Job, error)
	// AllByMP3 returns the Visible jobs whose MP3 has that id, whoever owns them: seldom more than one. None are no error.
	AllByMP3(ctx context.Context, id string) ([]job.Job, error)
	// Undated returns jobs that are Done or Failed and not Dated, in no order, at most limit.
	Undated(ctx context.Context, limit int) ([]job.Job, error)
	// Update reads the job, lets change alter the copy and stores it if nobody else has stored it since; else it starts
	// over, so change may run several times and must do nothing but decide. It returns the job as stored, with Version one
	// higher. An error of change is returned as it is, with the job as read, and nothing is stored. fs.ErrNotExist if there
	// is no such job; fs.ErrExist if change set a Key that is taken. When it returns nil the change is durable.
	Update(ctx context.Context, id string, change func(*job.Job) error) (job.Job, error)
	// Remove forgets the job. Absence is nil.
	Remove(ctx context.Context, id string) error
	// List returns the owner's Visible jobs, newest (highest id) first, at most limit, only ids below before unless that is "".
	List(ctx context.Context, owner, before string, limit int) ([]job.Job, error)
	// Find is List of the jobs that pass the filter. Its cost may grow with the owner's jobs, not with those of others.
	Find(ctx context.Context, owner string, f job.Filter, before string, limit int) ([]job.Job, error)
	// Changes returns the owner's jobs, in any state but Uploading, that were last stored at since or later by the clock of whoever
	// stored them, in milliseconds: the longest ago first, at most limit. A change may show a call's time after its own. What
	// was removed is not among them. Its cost must not grow with jobs that have not changed since.
	Changes(ctx context.Context, owner string, since time.Time, limit int) ([]job.Change, error)
	// Usage returns what the owner's jobs take: all that were stored before the call, in whatever state they are by then. Its
	// cost may grow with the owner's jobs, not with those of others.
	Usage(ctx context.Context, owner string) (job.Usage, error)
	// Backlog returns what there is to do, of all owners. Its cost may grow with what there is to do, not with what is done.
	Backlog(ctx context.Context) (job.Backlog, error)
	// InState returns jobs in one state, of any owner, newest first, at most limit, only ids below before unless that is "".
	InState(ctx context.Context, state job.State, before string, limit int) ([]job.Job, error)
	// Oldest returns jobs in one state, of any owner, oldest first, at most limit; cost independent of how many there are.
	Oldest(ctx context.Context, state job.State, limit int) ([]job.Job, error)
	// Due returns jobs that are RingDue or CleanDue, at most limit of each, the longest due first; cost independent of how many jobs are not due.
	Due(ctx context.Context, now time.Time, limit int) ([]job.Job, error)
	// Untold returns jobs whose TellAt has come, at most limit, the longest due first; cost as of Due.
	Untold(ctx context.Context, now time.Time, limit int) ([]job.Job, error)
}

// Hooks stores webhooks. Insert, Get and Update are as a Ledger's.
type Hooks interface {
	// Insert refuses an ID that is taken, and a Slot that another hook of the owner's has, with fs.ErrExist.
	Insert(ctx context.Context, h hook.Hook) error
	Get(ctx context.Context, id string) (hook.Hook, error)
	// Of returns the owner's hooks, by Slot.
	Of(ctx context.Context, owner string) ([]hook.Hook, error)
	Update(ctx context.Context, id string, change func(*hook.Hook) error) (hook.Hook, error)
	// Remove forgets the hook. Absence is nil. Its deliveries stay.
	Remove(ctx context.Context, id string) error
	// Due returns hooks whose NextAt has come, at most limit, the longest due first; cost independent of the others.
	Due(ctx context.Context, now time.Time, limit int) ([]hook.Hook, error)
}

// Deliveries stores what is sent to hooks. Insert, Get and Update are as a Ledger's. It does not know which hooks there are.
type Deliveries interface {
	Insert(ctx context.Context, d hook.Delivery) error
	Get(ctx context.Context, id string) (hook.Delivery, error)
	Update(ctx context.Context, id string, change func(*hook.Delivery) error) (hook.Delivery, error)
	// List returns the hook's deliveries, newest (highest id) first, at most limit, only ids below before unless that is "".
	List(ctx context.Context, of, before string, limit int) ([]hook.Delivery, error)
	// Due returns those of the hook whose DueAt has come, at most limit, the longest due first; cost independent of the others.
	Due(ctx context.Context, of string, now time.Time, limit int) ([]hook.Delivery, error)
	// Clear forgets all of the hook.
	Clear(ctx context.Context, of string) error
	// Forget removes what was Changed last before the given time, and returns how much.
	Forget(ctx context.Context, since time.Time) (int, error)
}

// Queue carries messages at least once, or, if it is embedded, at most once: the ledger remembers.
type Queue interface {
	// Publish returns nil only when the message is safe in the named queue.
	Publish(ctx context.Context, queue string, m job.Message) error
	// Consume hands each message to handle, up to workers at once, until ctx is over; then it takes no more, waits for the
	// running handlers (whose own context ends a grace later) and returns nil. It returns an error only for what waiting
	// cannot mend. Handle's error is the verdict: nil settles the message; job.ErrPoison in the chain moves it to the
	// queue's dead letters with the reason; anything else brings it back later, never in a hot loop, and at once elsewhere
	// when the handler's context is over.
	Consume(ctx context.Context, queue string, workers int, handle func(ctx context.Context, m job.Message) error) error
}

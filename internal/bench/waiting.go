package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"mp3converter/internal/embedded"
	"mp3converter/internal/job"
	"mp3converter/internal/mongodb"
)

// What passes through at a time, besides those that wait: few jobs, so that ten are ten; a consumer takes too long to begin for
// so few messages.
const (
	passingJobs     = 5
	passingMessages = 200
)

// measureWaiting looks at what a job costs while others wait: it must not depend on how many.
func measureWaiting(ctx context.Context, b *bench) (table, error) {
	t := table{
		Title: fmt.Sprintf("Processor time per job while others wait, 10 000 against 10, besides %d jobs or %d messages that pass through", passingJobs, passingMessages), Base: "10 wait",
		Notes: []string{
			"processor time is of this process and of the server together; the time until the answer is in the rows below each",
			"ten jobs an owner; list is one owner's, sweep looks for what is due (those that pass through) and notes it, both per job",
			ferretName + " scans the collection for anything but an id, and is here for honesty: for MongoDB internal/mongodb's tests show that every question has an index",
			"messages are published with confirmation and consumed with our broker package while others wait in the same quorum queue",
		},
	}
	for _, one := range []func(context.Context, *bench) ([]series, error){sqliteSeries, ferretSeries, messageSeries} {
		all, err := one(ctx, b)
		if err != nil {
			return t, err
		}
		for _, s := range all {
			t.Rows = append(t.Rows, s.rows()...)
		}
	}
	slices.SortStableFunc(t.Rows, func(a, b row) int { return cmp.Compare(order(a), order(b)) })
	return t, nil
}

// order puts what is said of all numbers first, then number after number.
func order(r row) float64 { return count(r.Of) }

const (
	sqliteName = "SQLite"
	ferretName = "FerretDB"
	rabbitName = "RabbitMQ"
)

// series is one thing that is done to a job, at each number of waiting ones.
type series struct {
	what    string
	waiting []int
	cpu     map[int]samples // milliseconds per job
	time    map[int]samples
	goal    *goal
}

func newSeries(what string, waiting []int, g *goal) *series {
	return &series{what: what, waiting: waiting, cpu: map[int]samples{}, time: map[int]samples{}, goal: g}
}

func (s series) rows() []row {
	first, last := s.waiting[0], s.waiting[len(s.waiting)-1]
	flat := compared(s.what, "ms", s.cpu[first], s.cpu[last])
	if last != 10_000 {
		flat.What += fmt.Sprintf(", %d against %d", last, first)
	}
	if s.goal != nil {
		flat = flat.against(s.goal)
	}
	rows := []row{flat}
	for _, n := range s.waiting {
		of := strconv.Itoa(n) + " wait"
		rows = append(rows,
			row{Of: of, What: s.what, Unit: "ms", Ours: s.cpu[n], Value: s.cpu[n].median(), Format: "%.3f ms"},
			row{Of: of, What: s.what + timeSuffix, Unit: "ms", Ours: s.time[n], Value: s.time[n].median(), Format: "%.3f ms"})
	}
	return rows
}

const timeSuffix = ", until the answer"

// flatEnough is how much more a job may cost when a thousand times as many wait: trees get deeper.
func flatEnough() *goal { return atMost(1.5) }

// stopwatch reads the processor time of this process and of a server, if there is one.
type stopwatch struct{ pids []int }

func (c stopwatch) read() (time.Duration, error) {
	var own unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &own); err != nil {
		return 0, err
	}
	sum := time.Duration(own.Utime.Nano() + own.Stime.Nano())
	for _, pid := range c.pids {
		used, err := cpuOf(pid)
		if err != nil {
			return 0, err
		}
		sum += used.own
	}
	return sum, nil
}

// note runs do, which sees to so many jobs, and adds what one of them took.
func (s *series) note(c stopwatch, waiting, jobs int, do func() error) error {
	before, err := c.read()
	if err != nil {
		return err
	}
	start := time.Now()
	if err := do(); err != nil {
		return fmt.Errorf("%s while %d wait: %w", s.what, waiting, err)
	}
	took := time.Since(start)
	after, err := c.read()
	per := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) / float64(jobs) }
	s.cpu[waiting] = append(s.cpu[waiting], per(after-before))
	s.time[waiting] = append(s.time[waiting], per(took))
	return err
}

// waitingLedger is what is measured of a ledger.
type waitingLedger interface {
	jobs
	Update(ctx context.Context, id string, change func(*job.Job) error) (job.Job, error)
	List(ctx context.Context, owner, before string, limit int) ([]job.Job, error)
	Due(ctx context.Context, now time.Time, limit int) ([]job.Job, error)
	Remove(ctx context.Context, id string) error
}

// lives are jobs that pass through a ledger in which others wait.
type lives struct {
	ledger  waitingLedger
	watch   stopwatch
	waiting int
	jobs    int // that pass through in a round
	rounds  int
	lists   int // so far

	insert, claim, commit, list, sweep *series
}

const jobsPerOwner = 10

// ledgerSeries are a ledger's five.
func ledgerSeries(name string, waiting []int, g func() *goal) []*series {
	var all []*series
	for _, what := range []string{"insert", "claim", "commit", "list", "sweep"} {
		all = append(all, newSeries(name+": "+what, waiting, g()))
	}
	return all
}

func (l *lives) measures(s []*series) {
	l.insert, l.claim, l.commit, l.list, l.sweep = s[0], s[1], s[2], s[3], s[4]
}

func ownerName(n int) string { return fmt.Sprintf("user%d@example.com", n) }

// waitingJob is one that somebody has been rung for.
func waitingJob(owner int) job.Job {
	now := time.Now()
	j := job.New(now, job.DefaultRules(), job.NewID(now), ownerName(owner))
	j.Name = "holiday.mp4"
	_ = j.Arrived(now, job.DefaultRules(), job.File{Bytes: 200 * mega, SHA256: "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"})
	j.RingAt = now.Add(time.Hour)
	return j
}

func (l *lives) fill(ctx context.Context) error {
	for i := range l.waiting {
		if err := l.ledger.Insert(ctx, waitingJob(i/jobsPerOwner)); err != nil {
			return err
		}
	}
	return nil
}

// round has some jobs live their lives.
func (l *lives) round(ctx context.Context) error {
	rules := job.DefaultRules()
	var ids []string
	each := func(s *series, do func(id string) error) error {
		return s.note(l.watch, l.waiting, len(ids), func() error {
			for _, id := range ids {
				if err := do(id); err != nil {
					return err
				}
			}
			return nil
		})
	}
	fresh := map[string]job.Job{}
	for i := range l.jobs {
		j := waitingJob(-1 - i) // not of those who wait
		ids, fresh[j.ID] = append(ids, j.ID), j
	}
	err := errors.Join(
		each(l.insert, func(id string) error { return l.ledger.Insert(ctx, fresh[id]) }),
		each(l.list, func(string) error { return l.listOne(ctx) }),
		l.sweepOnce(ctx, ids),
		each(l.claim, func(id string) error {
			_, err := l.ledger.Update(ctx, id, func(j *job.Job) error { return j.Claim(time.Now(), rules, "bench", "mp3"+id[3:]) })
			return err
		}),
		each(l.commit, func(id string) error {
			_, err := l.ledger.Update(ctx, id, func(j *job.Job) error {
				return j.Commit(time.Now(), rules, 1, job.File{ID: "mp3" + id[3:], Bytes: mega}, time.Minute)
			})
			return err
		}))
	for _, id := range ids {
		err = errors.Join(err, l.ledger.Remove(ctx, id))
	}
	return err
}

// listOne lists the jobs of one of those who wait, in turn.
func (l *lives) listOne(ctx context.Context) error {
	l.lists++
	found, err := l.ledger.List(ctx, ownerName(l.lists%(l.waiting/jobsPerOwner)), "", jobsPerOwner)
	if err == nil && len(found) != jobsPerOwner {
		err = fmt.Errorf("an owner of %d jobs has %d", jobsPerOwner, len(found))
	}
	return err
}

// sweepOnce makes the jobs due, finds them and notes that they were rung for.
func (l *lives) sweepOnce(ctx context.Context, ids []string) error {
	for _, id := range ids {
		if _, err := l.ledger.Update(ctx, id, func(j *job.Job) error { j.RingAt = time.Now().Add(-time.Second); return nil }); err != nil {
			return err
		}
	}
	return l.sweep.note(l.watch, l.waiting, len(ids), func() error {
		due, err := l.ledger.Due(ctx, time.Now(), len(ids))
		if err != nil {
			return err
		}
		if len(due) != len(ids) {
			return fmt.Errorf("%d jobs are due, not %d", len(due), len(ids))
		}
		for _, j := range due {
			if _, err := l.ledger.Update(ctx, j.ID, func(j *job.Job) error { return j.Rung(time.Now(), job.DefaultRules(), job.Queued) }); err != nil {
				return err
			}
		}
		return nil
	})
}

// run fills all ledgers and then has them take turns.
func run(ctx context.Context, all []*lives, progress func(l *lives)) error {
	for _, l := range all {
		if err := l.fill(ctx); err != nil {
			return err
		}
		progress(l)
	}
	for round := 0; ; round++ {
		busy := false
		for _, l := range all {
			if round >= l.rounds {
				continue
			}
			busy = true
			if err := l.round(ctx); err != nil {
				return err
			}
		}
		if !busy {
			return nil
		}
	}
}

func sqliteSeries(ctx context.Context, b *bench) ([]series, error) {
	waiting := []int{10, 100, 1000, 10_000}
	measured := ledgerSeries(sqliteName, waiting, flatEnough)
	var all []*lives
	for _, n := range waiting {
		dir, err := b.temp("ledger")
		if err != nil {
			return nil, err
		}
		db, err := embedded.OpenDB(filepath.Join(dir, "db"))
		if err != nil {
			return nil, err
		}
		defer db.Close()
		l := &lives{ledger: db.Jobs(), waiting: n, jobs: passingJobs, rounds: 20 + 20*b.Rounds}
		l.measures(measured)
		all = append(all, l)
	}
	err := run(ctx, all, func(l *lives) { b.say("waiting: %s holds %d jobs", sqliteName, l.waiting) })
	return values(measured), err
}

func values(all []*series) []series {
	var out []series
	for _, s := range all {
		out = append(out, *s)
	}
	return out
}

func ferretSeries(ctx context.Context, b *bench) ([]series, error) {
	waiting := []int{10, 100, 1000}
	if b.Full {
		waiting = append(waiting, 10_000)
	}
	stand, err := b.newStand(ctx)
	if err != nil {
		return nil, err
	}
	defer stand.close()
	measured := ledgerSeries(ferretName, waiting, func() *goal { return nil })
	var all []*lives
	for _, n := range waiting {
		client, err := mongodb.Connect(stand.ferretdb.URI(), "bench", mongodb.Prefix(fmt.Sprintf("w%d_", n)))
		if err != nil {
			return nil, err
		}
		defer client.Close(ctx)
		if err := client.EnsureIndexes(ctx, mongodb.Jobs); err != nil {
			return nil, err
		}
		l := &lives{ledger: client.Jobs(), watch: stopwatch{[]int{stand.ferretdb.Pid()}}, waiting: n, jobs: passingJobs, rounds: 1 + 2*b.Rounds}
		l.measures(measured)
		all = append(all, l)
	}
	err = run(ctx, all, func(l *lives) { b.say("waiting: %s holds %d jobs", ferretName, l.waiting) })
	return values(measured), err
}

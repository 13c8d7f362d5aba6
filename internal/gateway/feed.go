package gateway

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"mp3converter/internal/job"
)

// The ledger tells nobody of changes, so it is asked for them: by one poller for each owner whom somebody watches, however
// many do, and by none for the others.

// maxNews is how many jobs may wait for a slow reader, and how many changes one question returns.
const maxNews = 1000

// feeds are the pollers of this gateway.
type feeds struct {
	ledger Ledger
	every  time.Duration // between two questions
	lag    time.Duration // a change may come to be seen so long after its own time: clocks differ, and a store takes its time
	log    *slog.Logger

	mu sync.Mutex
	of map[string]*feed // by owner
}

// feed is one owner's.
type feed struct {
	watchers map[*watcher]bool
	stop     context.CancelFunc
	ended    chan struct{}
}

func newFeeds(cfg Config) *feeds {
	return &feeds{
		ledger: cfg.Ledger, every: cfg.Streams.Poll, lag: cfg.Rules.Skew + 2*callTime, log: cfg.Log, of: map[string]*feed{},
	}
}

// watch has all that changes of the owner's from now on told to the watcher it returns, and some that has changed shortly
// before. It is followed by leave.
func (f *feeds) watch(owner string) *watcher {
	w := &watcher{woken: make(chan struct{}, 1), at: map[string]int{}}
	f.mu.Lock()
	defer f.mu.Unlock()
	one := f.of[owner]
	if one == nil {
		ctx, stop := context.WithCancel(context.Background())
		one = &feed{watchers: map[*watcher]bool{}, stop: stop, ended: make(chan struct{})}
		f.of[owner] = one
		go func() {
			defer close(one.ended)
			f.poll(ctx, owner, one)
		}()
	}
	one.watchers[w] = true
	return w
}

// leave ends the poller, and waits for its end, if nobody else watches the owner.
func (f *feeds) leave(owner string, w *watcher) {
	f.mu.Lock()
	one := f.of[owner]
	delete(one.watchers, w)
	last := len(one.watchers) == 0
	if last {
		delete(f.of, owner)
	}
	f.mu.Unlock()
	if last {
		one.stop()
		<-one.ended
	}
}

// poll asks until ctx is over. Each question reaches back by the lag, so what was seen before is sorted out here.
func (f *feeds) poll(ctx context.Context, owner string, to *feed) {
	tick := time.NewTicker(f.every)
	defer tick.Stop()
	since, seen, failing := time.Now().Add(-f.lag), map[string]int64{}, false
	for {
		asOf := time.Now()
		changes, err := f.ask(ctx, owner, since)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failing:
			f.log.WarnContext(ctx, "events: the ledger does not say what has changed", "err", err)
		case err == nil:
			since = asOf.Add(-f.lag)
			if len(changes) == maxNews { // the rest comes next
				since = changes[maxNews-1].At
			}
			var fresh []job.Job
			fresh, seen = unseen(changes, seen)
			f.tell(to, fresh, asOf)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (f *feeds) ask(ctx context.Context, owner string, since time.Time) ([]job.Change, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return f.ledger.Changes(ctx, owner, since, maxNews)
}

// unseen returns those whose version is newer than when they were seen last, and what has been seen by now.
func unseen(changes []job.Change, seen map[string]int64) (fresh []job.Job, now map[string]int64) {
	now = map[string]int64{}
	for _, c := range changes {
		now[c.Job.ID] = c.Job.Version
		if c.Job.Version > seen[c.Job.ID] {
			fresh = append(fresh, c.Job)
		}
	}
	return fresh, now
}

func (f *feeds) tell(to *feed, jobs []job.Job, asOf time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for w := range to.watchers {
		w.tell(jobs, asOf)
	}
}

// watcher is one reader's mailbox. Of each job it holds the last that was told, so a slow reader misses steps and no ends.
type watcher struct {
	woken chan struct{} // there is something to take

	mu   sync.Mutex
	news []job.Job
	at   map[string]int // where a job's is
	asOf time.Time      // all that had changed by then was told
	full bool           // more was to be told than there is room for
}

func (w *watcher) tell(jobs []job.Job, asOf time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asOf = asOf
	for _, j := range jobs {
		i, there := w.at[j.ID]
		switch {
		case there:
			w.news[i] = j
		case len(w.news) == maxNews:
			w.full = true
		default:
			w.at[j.ID] = len(w.news)
			w.news = append(w.news, j)
		}
	}
	if len(jobs) > 0 {
		select {
		case w.woken <- struct{}{}:
		default: // it is awake
		}
	}
}

// take returns what is new, and as of when; ok is false if something was lost.
func (w *watcher) take() (news []job.Job, asOf time.Time, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	news, w.news = w.news, nil
	clear(w.at)
	return news, w.asOf, !w.full
}

package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mp3converter/internal/job"
)

// changing is a ledger that is asked for changes.
type changing struct {
	Ledger
	mu    sync.Mutex
	all   []job.Change // in the order of their times
	asked []time.Time  // when it was
	since []time.Time  // and for what
	err   error
}

func (l *changing) Changes(_ context.Context, owner string, since time.Time, limit int) (found []job.Change, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked, l.since = append(l.asked, time.Now()), append(l.since, since)
	for _, c := range l.all {
		if c.Job.Owner == owner && !c.At.Before(since) && len(found) < limit {
			found = append(found, c)
		}
	}
	return found, l.err
}

// change stores a job whose time is so long ago.
func (l *changing) change(ago time.Duration, id string, version int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = slices.DeleteFunc(l.all, func(c job.Change) bool { return c.Job.ID == id })
	l.all = append(l.all, job.Change{Job: job.Job{ID: id, Owner: "a", Version: version, State: job.Queued}, At: time.Now().Add(-ago)})
}

func (l *changing) fails(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

func (l *changing) questions() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.asked)
}

func feedsOf(l *changing) *feeds {
	return newFeeds(Config{
		Ledger: l, Streams: Streams{Poll: time.Second}, Rules: job.Rules{Skew: 5 * time.Second}, Log: slog.New(slog.DiscardHandler),
	})
}

// news is what the watcher has been told, in words.
func news(w *watcher) string {
	synctest.Wait()
	jobs, _, ok := w.take()
	text := ""
	for _, j := range jobs {
		text += fmt.Sprintf("%s.%d ", j.ID, j.Version)
	}
	if !ok {
		text += "and more"
	}
	return text
}

func TestOnePollerAsksForAllWhoWatchAnOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &changing{}
		f := feedsOf(l)
		one, two := f.watch("a"), f.watch("a")
		time.Sleep(10*time.Second + time.Millisecond)
		if n := l.questions(); n != 11 {
			t.Errorf("two watchers had the ledger asked %d times in 10 s, want once a second", n)
		}
		l.change(0, "x", 1)
		time.Sleep(time.Second)
		if a, b := news(one), news(two); a != "x.1 " || b != a {
			t.Errorf("they were told %q and %q", a, b)
		}
		f.leave("a", one)
		time.Sleep(10 * time.Second)
		if n := l.questions(); n != 22 {
			t.Errorf("one watcher is left, and the ledger was asked %d times in 21 s", n)
		}
		f.leave("a", two)
		time.Sleep(time.Minute)
		if n := l.questions(); n != 22 || len(f.of) != 0 {
			t.Errorf("nobody watches, and the ledger was asked %d times; %d pollers", n, len(f.of))
		}
		f.leave("a", f.watch("a"))
	})
}

func TestAChangeIsToldOnceHoweverLateItShows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &changing{}
		f := feedsOf(l)
		w := f.watch("a")
		defer f.leave("a", w)
		time.Sleep(30 * time.Second)
		for _, step := range []struct {
			ago     time.Duration
			version int64
			want    string
		}{{0, 1, "x.1 "}, {f.lag - 2*time.Second, 2, "x.2 "}, {0, 2, ""}, {-5 * time.Second, 3, "x.3 "}} {
			l.change(step.ago, "x", step.version)
			time.Sleep(1500 * time.Millisecond)
			if got := news(w); got != step.want {
				t.Errorf("version %d of %v ago: told %q, want %q", step.version, step.ago, got, step.want)
			}
		}
		time.Sleep(time.Minute)
		if got := news(w); got != "" {
			t.Errorf("told again: %q", got)
		}
	})
}

func TestWhatChangesWhileTheLedgerIsAwayIsToldAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &changing{}
		f := feedsOf(l)
		w := f.watch("a")
		defer f.leave("a", w)
		time.Sleep(time.Minute)
		l.fails(errors.New("dial tcp: refused"))
		l.change(0, "x", 1)
		time.Sleep(5 * time.Minute)
		if got := news(w); got != "" {
			t.Errorf("told %q while the ledger was away", got)
		}
		l.fails(nil)
		time.Sleep(2 * time.Second)
		if got := news(w); got != "x.1 " {
			t.Errorf("told %q after it was back", got)
		}
	})
}

func TestMoreThanOneQuestionReturnsIsToldByTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &changing{}
		for i := range 2*maxNews + 10 {
			l.change(20*time.Second-time.Duration(i)*time.Millisecond, fmt.Sprint(i), 1)
		}
		f := feedsOf(l)
		w := f.watch("a")
		defer f.leave("a", w)
		told := 0
		for range 5 {
			synctest.Wait()
			jobs, _, ok := w.take()
			if !ok {
				t.Fatal("some were lost")
			}
			told += len(jobs)
			time.Sleep(time.Second)
		}
		if told < 2*maxNews+10 {
			t.Errorf("%d of %d were told", told, 2*maxNews+10)
		}
	})
}

func TestASlowReaderIsToldTheLastOfEachJobOrThatItHasLost(t *testing.T) {
	w := &watcher{woken: make(chan struct{}, 1), at: map[string]int{}}
	for version := range int64(10 * maxNews) {
		w.tell([]job.Job{{ID: "x", Version: version + 1}, {ID: "y", Version: version + 1}}, time.Now())
	}
	if got := func() string { j, _, ok := w.take(); return fmt.Sprint(j[0].Version, j[1].Version, len(j), ok) }(); got != "10000 10000 2 true" {
		t.Errorf("told %s", got)
	}
	for i := range maxNews + 1 {
		w.tell([]job.Job{{ID: fmt.Sprint(i), Version: 1}}, time.Now())
	}
	if jobs, _, ok := w.take(); ok || len(jobs) != maxNews {
		t.Errorf("%d jobs wait for it, lost %v", len(jobs), !ok)
	}
}

package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mp3converter/internal/job"
)

// asked is a ledger that notes whose uploads ask it for a place, and takes so long to answer that others have the rest.
type asked struct {
	Ledger
	takes time.Duration
	usage job.Usage

	mu     sync.Mutex
	inside int
	most   int // inside at once
	order  []string
}

func (l *asked) Insert(_ context.Context, j job.Job) error {
	l.mu.Lock()
	l.inside++
	l.most = max(l.most, l.inside)
	l.order = append(l.order, j.Owner)
	l.mu.Unlock()
	time.Sleep(l.takes)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inside--
	return nil
}

func (l *asked) Usage(context.Context, string) (job.Usage, error) { return l.usage, nil }

func (l *asked) Remove(context.Context, string) error { return nil }

// announce has so many uploads of as many users ask at once, and returns what each is told.
func announce(t *testing.T, s *Service, uploads int) []error {
	t.Helper()
	told := make([]error, uploads)
	var g sync.WaitGroup
	for i := range uploads {
		g.Go(func() { _, told[i] = s.announce(t.Context(), fmt.Sprint("user ", i), room{1, 1}) })
		synctest.Wait() // so that they come in this order, each after all before it have gone as far as they can
	}
	g.Wait()
	return told
}

// rules are of no matter here.
var rules = job.Rules{UploadLease: time.Minute}

func TestACrowdAsksTheLedgerInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const crowd, atOnce = 48, 16
		ledger := &asked{takes: 2 * callTime} // as long as a turn may
		s := New(Config{Ledger: ledger, Rules: rules, Metrics: prometheus.NewRegistry()})
		for i, err := range announce(t, s, crowd) {
			if err != nil {
				t.Errorf("upload %d is told %v", i+1, err)
			}
		}
		if ledger.most != atOnce || len(ledger.order) != crowd {
			t.Errorf("%d of %d asked the ledger at once, want %d of %d", ledger.most, len(ledger.order), atOnce, crowd)
		}
	})
}

func TestWhoeverPausesBetweenTriesLetsOthersAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const atOnce = 16
		// Of the one byte there is, another upload has reserved all.
		ledger := &asked{takes: time.Millisecond, usage: job.Usage{Reserved: 2, Uploads: 2}}
		s := New(Config{Ledger: ledger, Rules: rules, Metrics: prometheus.NewRegistry(), QuotaBytes: 1})
		for i, err := range announce(t, s, atOnce+1) {
			if !errors.Is(err, errCrowded) {
				t.Errorf("upload %d is told %v, want %v", i+1, err, errCrowded)
			}
		}
		last := fmt.Sprint("user ", atOnce)
		if first := slices.Index(ledger.order, last); first > 2*atOnce {
			t.Errorf("the seventeenth first asks after %d others have, some of them %d times", first, crowdTries)
		}
	})
}

package courier_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mp3converter/internal/courier"
	"mp3converter/internal/hook"
)

// Receivers that answer 200 after 14 s keep their hooks' places for as long as a visit may last, and nothing makes them rest.
// However much their owners have for them, somebody else waits for one turn at most.
func TestSlowReceiversHoldUpNobodyElse(t *testing.T) {
	for name, tt := range map[string]struct {
		workers int
		want    time.Duration // at most
	}{
		"half of the places are free":                     {8, 5 * time.Second},
		"there is one place, that each hook has for 28 s": {1, 5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const url, took = "https://quick.example", 14 * time.Second
				var once sync.Once
				called := make(chan struct{})
				w := newWorld(t, func(c *courier.Config) {
					c.Workers, c.Rules.Lease, c.Every = tt.workers, time.Minute, 2*time.Second
					c.Post = func(_ context.Context, to string, _ http.Header, _ string) (int, error) {
						if to == url {
							once.Do(func() { close(called) })
						} else {
							time.Sleep(took)
						}
						return http.StatusOK, nil
					}
				})
				for slot := range hook.MaxEach {
					w.pile("slow@b.c", "https://slow.example", slot, 6)
				}
				time.Sleep(time.Second)
				begun := time.Now()
				w.pile(owner, url, 0, 1)
				stop := w.run()
				<-called
				if waited := time.Since(begun); waited > tt.want {
					t.Errorf("a hook of somebody else's waits for %v, want at most %v", waited, tt.want)
				}
				stop()
			})
		})
	}
}

// pile is a hook with so many deliveries that are due.
func (w *world) pile(owner, url string, slot, deliveries int) {
	w.Helper()
	h := hook.New(time.Now(), owner, url, slot)
	w.must(h.Wake(time.Now()))
	w.must(w.hooks.Insert(w.Context(), h))
	for range deliveries {
		d := h.Ping(time.Now())
		d.ID = hook.New(time.Now(), owner, url, slot).ID // several in a minute
		w.must(w.deliveries.Insert(w.Context(), d))
	}
}

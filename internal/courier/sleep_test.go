package courier_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mp3converter/internal/courier"
	"mp3converter/internal/embedded"
	"mp3converter/internal/hook"
)

// sleepy are hooks of which the first is claimed by a process that then stands still.
type sleepy struct {
	embedded.Hooks
	once sync.Once
	nap  time.Duration
}

func (s *sleepy) Update(ctx context.Context, id string, change func(*hook.Hook) error) (hook.Hook, error) {
	h, err := s.Hooks.Update(ctx, id, change)
	s.once.Do(func() { time.Sleep(s.nap) })
	return h, err
}

// A laptop that was closed has sent nothing, so no receiver has failed to take it.
func TestAVisitThatWasSleptThroughIsNoTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent := make(chan struct{})
		w := newWorld(t, func(c *courier.Config) {
			c.Rules.Lease, c.Every = time.Minute, 2*time.Second
			c.Hooks = &sleepy{Hooks: c.Hooks.(embedded.Hooks), nap: c.Rules.Lease}
			c.Post = func(ctx context.Context, _ string, _ http.Header, _ string) (int, error) {
				if err := ctx.Err(); err != nil {
					return 0, err
				}
				close(sent)
				return http.StatusOK, nil
			}
		})
		w.pile(owner, "https://receiver.example", 0, 1)
		stop := w.run()
		<-sent
		stop()
		hooks, err := w.hooks.Of(t.Context(), owner)
		w.must(err)
		if d := w.log(hooks[0], 1)[0]; d.State != hook.Delivered || d.Attempts != 1 || d.Failures != 0 || hooks[0].Failures != 0 {
			t.Errorf("in the log: %+v; the hook has failed %d times", d, hooks[0].Failures)
		}
	})
}

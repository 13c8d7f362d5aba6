package gateway

import (
	"context"
	"sync"
	"time"
)

// releaseTime is how long whoever comes to an upload waits until the one before has stored what it has. After that the ledger
// decides whose it is.
const releaseTime = 5 * time.Second

// writers are the requests of this gateway that add to resumable uploads. Mostly their clients have gone, and nobody has
// noticed yet: whoever asks for such an upload has them stop, so that they keep what they have, and take no place.
type writers struct {
	mu sync.Mutex
	of map[string]*writer // by upload
}

type writer struct {
	user  string
	stop  func()
	ended chan struct{}
}

// add is followed by the function that it returns.
func (w *writers) add(id, user string, stop func()) (end func()) {
	mine := &writer{user, stop, make(chan struct{})}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.of[id] = mine
	return func() {
		close(mine.ended)
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.of[id] == mine {
			delete(w.of, id)
		}
	}
}

// release has the user's writer of the upload end, if there is one here.
func (w *writers) release(ctx context.Context, id, user string) {
	w.mu.Lock()
	old := w.of[id]
	w.mu.Unlock()
	if old == nil || old.user != user {
		return
	}
	old.stop()
	patience := time.NewTimer(releaseTime)
	defer patience.Stop()
	select {
	case <-old.ended:
	case <-patience.C:
	case <-ctx.Done():
	}
}

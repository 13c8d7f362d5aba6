package mongodb

import (
	"context"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"mp3converter/internal/porttest"
	"mp3converter/internal/slots"
	"mp3converter/internal/testserver"
)

// allowed stores and reads a file and returns how long each kind of command for its chunks may take.
func allowed(t *testing.T, like *Client) map[string]time.Duration {
	t.Helper()
	var mu sync.Mutex
	longest := map[string]time.Duration{}
	pool, err := mongo.Connect(options.Client().ApplyURI(testserver.MongoDB(t)).SetMonitor(&event.CommandMonitor{
		Started: func(ctx context.Context, e *event.CommandStartedEvent) {
			mu.Lock()
			defer mu.Unlock()
			of, _ := e.Command.Lookup(e.CommandName).StringValueOK()
			if deadline, ok := ctx.Deadline(); ok && (of == "fs.chunks" || e.CommandName == "getMore") {
				longest[e.CommandName] = max(longest[e.CommandName], time.Until(deadline))
			}
		},
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = pool.Disconnect(context.WithoutCancel(t.Context())) }()
	s := newFiles(&Client{mongo: pool, prefix: like.prefix, timeout: like.timeout}, Videos)
	_, r, err := s.Open(t.Context(), put(t, s, porttest.Bytes(1, 12*ChunkSize)).ID)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Fatal(err)
	}
	return longest
}

func TestWhoeverWaitsBehindTheSlowestThatEndWellGetsATurn(t *testing.T) {
	c := open(t)
	took := allowed(t, c)
	for _, command := range []string{"insert", "find", "getMore"} {
		if took[command] == 0 {
			t.Fatalf("no deadline of %s was seen: %v", command, took)
		}
	}
	for name, tt := range map[string]struct {
		of   *slots.Slots
		turn time.Duration
	}{
		"inserts": {c.Videos().inserts, took["insert"]},
		"fetches": {c.Videos().fetches, took["getMore"] + took["find"] + took["getMore"]}, // the first in vain
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for range bulk {
					if err := tt.of.Take(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				told := make(chan error, 1)
				go func() { told <- tt.of.Take(t.Context()) }()
				time.Sleep(tt.turn)
				for range bulk {
					tt.of.Give(nil)
				}
				if err := <-told; err != nil {
					t.Errorf("after turns of %v whoever waits is told: %v", tt.turn, err)
				}
			})
		})
	}
}

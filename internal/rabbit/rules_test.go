package rabbit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mp3converter/internal/job"
)

func TestJudge(t *testing.T) {
	poison := fmt.Errorf("%w: no such video", job.ErrPoison)
	for name, tt := range map[string]struct {
		err      error
		stopping bool
		want     verdict
	}{
		"handled":                          {nil, false, settle},
		"handled while stopping":           {nil, true, settle},
		"poison":                           {poison, false, bury},
		"poison while stopping":            {poison, true, bury},
		"poison among other errors":        {errors.Join(errors.New("and"), poison), false, bury},
		"store away":                       {fmt.Errorf("claim: %w", job.ErrTransient), false, postpone},
		"store away while stopping":        {fmt.Errorf("claim: %w", job.ErrTransient), true, giveBack},
		"nobody knows why":                 {errors.New("?"), false, postpone},
		"permanent is the job's, not ours": {job.Failing(job.ReasonNoAudio, ""), false, postpone},
		"out of time while stopping":       {errStopping, true, giveBack},
	} {
		t.Run(name, func(t *testing.T) {
			if got := judge(tt.err, tt.stopping); got != tt.want {
				t.Errorf("judge(%v, %v) = %s, want %s", tt.err, tt.stopping, got, tt.want)
			}
		})
	}
}

func TestBackoffDoublesUpToAMaximum(t *testing.T) {
	for n, want := range map[int]time.Duration{
		1: time.Second, 2: 2 * time.Second, 5: 16 * time.Second, 6: maxPause, 1_000_000: maxPause,
	} {
		for range 100 {
			if got := backoff(time.Second, maxPause, n); got < want/2 || got > want {
				t.Errorf("pause %d is %v, want between half of %v and all of it", n, got, want)
			}
		}
	}
	if got := backoff(time.Hour, maxPause, 1); got > maxPause {
		t.Errorf("a base above the maximum gives %v", got)
	}
}

func TestGracefulEndsAGraceLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		late, cancel := graceful(ctx, time.Minute)
		defer cancel()
		stop()
		time.Sleep(time.Minute - 1)
		if late.Err() != nil {
			t.Fatal("over before the grace")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if late.Err() == nil {
			t.Error("not over after the grace")
		}
	})
}

// There is no point in pausing for a message that the broker has given to somebody else, or is to.
func TestPauseIsCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stopped, stop := context.WithCancel(t.Context())
		stop()
		lost := make(chan struct{})
		close(lost)
		for name, tt := range map[string]struct {
			ctx  context.Context
			lost chan struct{}
			want time.Duration
		}{
			"nothing happens": {t.Context(), make(chan struct{}), time.Hour},
			"channel lost":    {t.Context(), lost, 0},
			"told to stop":    {stopped, make(chan struct{}), 0},
		} {
			start := time.Now()
			(&consumer{ctx: tt.ctx}).pause(delivery{lost: tt.lost}, time.Hour)
			if took := time.Since(start); took != tt.want {
				t.Errorf("%s: paused for %v, want %v", name, took, tt.want)
			}
		}
	})
}

// A broker with an alarm stops reading; no context interrupts a write to it.
func TestWriteThatNobodyReads(t *testing.T) {
	client, broker := net.Pipe()
	defer broker.Close()
	defer client.Close()
	_, err := (&boundedConn{Conn: client, limit: time.Millisecond}).Write([]byte("publish"))
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Write: %v, want it to end by its deadline", err)
	}
}

func TestMistakesInSettings(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg  Config
		want string
	}{
		"no URL":            {Config{}, "URL"},
		"other scheme":      {Config{URL: "http://u:geheim@host/"}, "URL"},
		"unreadable URL":    {Config{URL: "amqp://u:geheim@host:port/%zz"}, "URL"},
		"other queue type":  {Config{URL: "amqp://host/", QueueType: "stream"}, "QUEUE_TYPE"},
		"queue type in any": {Config{URL: "amqp://host/", QueueType: "Quorum"}, "QUEUE_TYPE"},
	} {
		t.Run(name, func(t *testing.T) {
			err := tt.cfg.withDefaults().check()
			if !errors.Is(err, errConfig) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("check() = %v, want it to name %s", err, tt.want)
			}
			if strings.Contains(fmt.Sprint(err), "geheim") {
				t.Errorf("the password is in %q", err)
			}
		})
	}
}

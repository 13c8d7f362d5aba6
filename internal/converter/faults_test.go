package converter_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mp3converter/internal/job"
)

func TestAnEncoderThatCrashesIsTriedThreeTimes(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		j := w.uploaded(t, "a.mp4")
		w.encode = fails(errors.New("signal: segmentation fault at /tmp/secret"))
		for n, wait := range []time.Duration{w.rules.RetryDelay, 6 * w.rules.RetryDelay} {
			w.handle(t, j)
			w.wantQueued(t, j.ID, n+1, wait)
			w.handle(t, j) // not due: nothing happens
			w.wantEncoded(t, n+1)
			time.Sleep(wait)
		}
		w.handle(t, j)
		if got := w.wantFailed(t, j.ID, job.ReasonCrashed); strings.Contains(got.Detail, "secret") {
			t.Errorf("the owner reads %q", got.Detail)
		}
		w.wantEncoded(t, 3)
	})
}

func TestAnEncoderThatCrashesOnceIsForgiven(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		j := w.uploaded(t, "a.mp4")
		w.encode = fails(errors.New("signal: killed"))
		w.handle(t, j)
		w.encode = nil
		time.Sleep(w.rules.RetryDelay)
		w.handle(t, j)
		w.wantConverted(t, j.ID)
	})
}

func TestProcessesThatDieCountAsCrashes(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		j := w.uploaded(t, "a.mp4")
		for range w.rules.Attempts {
			w.change(t, j.ID, func(j *job.Job) error { return j.Claim(time.Now(), w.rules, "dead", job.NewID(time.Now())) })
			time.Sleep(w.rules.Lease)
		}
		w.handle(t, j)
		w.wantFailed(t, j.ID, job.ReasonCrashed)
		w.wantEncoded(t, 0)
	})
}

func TestAPermanentFailureEndsTheJobAtOnce(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		j := w.uploaded(t, "a.mp4")
		w.encode = fails(fmt.Errorf("ffmpeg: %w", job.Failing(job.ReasonTruncated, "8.7 of 10.0 s")))
		w.handle(t, j)
		if got := w.wantFailed(t, j.ID, job.ReasonTruncated); got.Detail != "8.7 of 10.0 s" {
			t.Errorf("Detail is %q", got.Detail)
		}
		w.handle(t, j)
		w.wantEncoded(t, 1)
	})
}

func TestWhatIsNotTheVideosFaultDoesNotCount(t *testing.T) {
	for name, tt := range map[string]struct{ spoil, mend func(*world) }{
		"the video cannot be opened":         {func(w *world) { w.videos.openErr = errAway }, func(w *world) { w.videos.openErr = nil }},
		"the store goes away in the middle":  {func(w *world) { w.videos.readErr = io.ErrUnexpectedEOF }, func(w *world) { w.videos.readErr = nil }},
		"there is no scratch file":           {func(w *world) { w.noTemp = errors.New("no space left on device") }, func(w *world) { w.noTemp = nil }},
		"the scratch folder is full":         {func(w *world) { w.encode = fails(fmt.Errorf("write: %w", job.ErrTransient)) }, func(w *world) { w.encode = nil }},
		"the MP3 cannot be stored":           {func(w *world) { w.mp3s.putFails = 1000 }, func(w *world) { w.mp3s.putFails = 0 }},
		"the MP3 is stored but nobody knows": {func(w *world) { w.mp3s.putFails, w.mp3s.mute = 1000, true }, func(w *world) { w.mp3s.putFails = 0 }},
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, func(t *testing.T, w *world) {
				j := w.uploaded(t, "a.mp4")
				tt.spoil(w)
				for _, seconds := range []int{10, 20, 40, 80, 120, 120} {
					wait := time.Duration(seconds) * time.Second
					w.handle(t, j)
					w.wantQueued(t, j.ID, 0, wait)
					if d := w.get(t, j.ID).Detail; d != "a part of the service was not available" {
						t.Errorf("the owner reads %q", d)
					}
					time.Sleep(wait)
				}
				tt.mend(w)
				w.handle(t, j)
				w.wantConverted(t, j.ID)
			})
		})
	}
}

func TestWhatIsAwayForEverEndsTheJobToo(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		j := w.uploaded(t, "a.mp4")
		w.change(t, j.ID, func(j *job.Job) error { j.Attempt, j.Excused = 1000, 1000; return nil })
		w.videos.readErr = io.ErrUnexpectedEOF
		for range w.rules.Attempts {
			w.handle(t, j)
			time.Sleep(time.Hour)
		}
		w.wantFailed(t, j.ID, job.ReasonCrashed)
	})
}

func TestStoringTheMP3IsTriedAgainWithoutEncodingAgain(t *testing.T) {
	for name, mute := range map[string]bool{"nothing was stored": false, "it was stored, but nobody knew": true} {
		t.Run(name, func(t *testing.T) {
			inTime(t, func(t *testing.T, w *world) {
				j := w.uploaded(t, "a.mp4")
				w.mp3s.putFails, w.mp3s.mute = 3, mute
				w.handle(t, j)
				w.wantConverted(t, j.ID)
				w.wantEncoded(t, 1)
			})
		})
	}
}

func TestAVideoThatIsGoneFailsTheJob(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		j := w.uploaded(t, "a.mp4")
		if err := w.videos.Delete(t.Context(), j.ID); err != nil {
			t.Fatal(err)
		}
		w.handle(t, j)
		w.wantFailed(t, j.ID, job.ReasonNoVideo)
	})
}

func TestAVideoThatIsNotTheOneUploadedIsNeverConverted(t *testing.T) {
	for name, spoil := range map[string]func(*job.Job) error{
		"other bytes":      func(j *job.Job) error { j.VideoSHA256 = strings.Repeat("0", 64); return nil },
		"fewer bytes":      func(j *job.Job) error { j.VideoBytes++; return nil },
		"an adopted video": func(j *job.Job) error { j.VideoBytes, j.VideoSHA256 = j.VideoBytes-1, ""; return nil },
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, func(t *testing.T, w *world) {
				j := w.uploaded(t, "a.mp4")
				w.change(t, j.ID, spoil)
				for range w.rules.Attempts {
					w.handle(t, j)
					time.Sleep(time.Hour)
				}
				w.wantFailed(t, j.ID, job.ReasonCrashed)
				w.wantEncoded(t, 0)
			})
		})
	}
}

func TestAStopGivesTheJobToSomebodyElseAtOnce(t *testing.T) {
	for name, stopIn := range map[string]func(w *world, stop func()){
		"while encoding": func(w *world, stop func()) {
			time.AfterFunc(10*time.Second, stop)
			w.encode = encodes(time.Hour)
		},
		"while the encoder thinks it is the video's fault": func(w *world, stop func()) {
			w.encode = func(context.Context, *os.File, *os.File, string, job.Profile, func(int)) (time.Duration, error) {
				stop()
				return 0, job.Failing(job.ReasonTruncated, "killed")
			}
		},
		"while reading":                 func(w *world, stop func()) { w.videos.readErr = context.Canceled; atTemp(w, stop) },
		"while the store is away":       func(w *world, stop func()) { w.mp3s.putFails = 1000; time.AfterFunc(10*time.Second, stop) },
		"while the ledger is away, too": func(w *world, stop func()) { w.mp3s.putFails = 1000; time.AfterFunc(10*time.Second, outage(w, stop)) },
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, func(t *testing.T, w *world) {
				j := w.uploaded(t, "a.mp4")
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				stopIn(w, stop)
				if err := w.Handle(ctx, j.Message()); !errors.Is(err, context.Canceled) {
					t.Errorf("Handle = %v, want context.Canceled in the chain", err)
				}
				w.wantQueued(t, j.ID, 0, 0)
				w.encode, w.mp3s.putFails, w.videos.readErr = nil, 0, nil
				if err := w.worker(w.ledger).Handle(t.Context(), j.Message()); err != nil {
					t.Errorf("Handle by somebody else: %v", err)
				}
				w.wantConverted(t, j.ID)
			})
		})
	}
}

// atTemp calls do once the video is open.
func atTemp(w *world, do func()) {
	temp := w.cfg.Temp
	w.cfg.Temp = func() (*os.File, error) { do(); return temp() }
	w.Service = w.worker(w.ledger)
}

// outage stops in the middle of a short outage of the ledger.
func outage(w *world, stop func()) func() {
	return func() {
		w.ledger.set(true)
		stop()
		time.AfterFunc(time.Second, func() { w.ledger.set(false) })
	}
}

func TestAStopAfterTheMP3IsStoredStillCommits(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		j := w.uploaded(t, "a.mp4")
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		w.mp3s.onPut = stop
		if err := w.Handle(ctx, j.Message()); err != nil {
			t.Errorf("Handle = %v", err)
		}
		w.wantConverted(t, j.ID)
		w.wantRung(t, j.ID, 1)
	})
}

func TestAJobDeletedWhileItIsConvertedLeavesNothing(t *testing.T) {
	for name, when := range map[string]func(w *world, remove func()){
		"while encoding":          func(w *world, remove func()) { w.encode = encodes(time.Hour); time.AfterFunc(time.Minute, remove) },
		"once the MP3 is stored":  func(w *world, remove func()) { w.mp3s.onPut = remove },
		"while reading, entirely": func(w *world, remove func()) { w.videos.readErr = errAway; atTemp(w, remove) },
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, func(t *testing.T, w *world) {
				j := w.uploaded(t, "a.mp4")
				when(w, func() { w.change(t, j.ID, func(j *job.Job) error { return j.Delete(time.Now()) }) })
				if got := w.handle(t, j); got.State != job.Deleted {
					t.Errorf("the job is %s", got.State)
				}
				w.wantNothingBut(t, w.get(t, j.ID), "")
				w.wantRung(t, j.ID, 0)
			})
		})
	}
}

func TestTheVideoOfADeletedJobMayBeGone(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		j := w.uploaded(t, "a.mp4")
		w.videos.onOpen = func() {
			w.change(t, j.ID, func(j *job.Job) error { return j.Delete(time.Now()) })
			if err := w.videos.Delete(t.Context(), j.ID); err != nil {
				t.Error(err)
			}
		}
		if got := w.handle(t, j); got.State != job.Deleted {
			t.Errorf("the job is %s", got.State)
		}
	})
}

// A worker that is cut off from the ledger goes on; when its lease has run out somebody else converts the job, and what
// the first one then has is thrown away.
func TestOfTwoWorkersOneCommits(t *testing.T) {
	for name, tt := range map[string]struct {
		first, second time.Duration // how long each encodes; the first lease runs out after 90 s
		backAfter     time.Duration // when the first worker sees the ledger again
	}{
		"the first is late":                             {first: 5 * time.Minute, second: time.Minute, backAfter: 7 * time.Minute},
		"the first is early, but its lease had run out": {first: 3 * time.Minute, second: time.Hour, backAfter: 4 * time.Minute},
		"the first hears that its lease is lost":        {first: 9 * time.Hour, second: time.Minute, backAfter: 2 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, func(t *testing.T, w *world) {
				j := w.uploaded(t, "a.mp4")
				cutOff := &ledger{Ledger: w.ledger.Ledger}
				w.encode = encodes(tt.first)
				start, stale := time.Now(), make(chan error)
				go func() { stale <- w.worker(cutOff).Handle(t.Context(), j.Message()) }()
				synctest.Wait()
				cutOff.set(true)
				time.AfterFunc(tt.backAfter, func() { cutOff.set(false) })

				time.Sleep(w.rules.Lease)
				w.mu.Lock()
				w.encode = encodes(tt.second)
				w.mu.Unlock()
				w.handle(t, j)
				if err := <-stale; err != nil {
					t.Errorf("Handle of the stale worker: %v", err)
				}
				if took := time.Since(start); took > 61*time.Minute+w.rules.Lease {
					t.Errorf("both were done after %v", took)
				}
				if got := w.wantConverted(t, j.ID); got.MP3 != got.Tried[1] {
					t.Error("the stale worker's MP3 counts")
				}
				w.wantEncoded(t, 2)
				w.wantRung(t, j.ID, 1)
			})
		})
	}
}

func TestALedgerThatIsAwayDuringAConversionCostsNothing(t *testing.T) {
	for name, outage := range map[string]struct{ from, to time.Duration }{
		"for less than the lease":         {time.Minute, 2 * time.Minute},
		"for longer, with nobody waiting": {time.Minute, 9 * time.Minute},
		"when the commit is due":          {9*time.Minute + 50*time.Second, 11 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, func(t *testing.T, w *world) {
				j := w.uploaded(t, "a.mp4")
				w.encode = encodes(10 * time.Minute)
				time.AfterFunc(outage.from, func() { w.ledger.set(true) })
				time.AfterFunc(outage.to, func() { w.ledger.set(false) })
				w.handle(t, j)
				w.wantConverted(t, j.ID)
				w.wantEncoded(t, 1)
			})
		})
	}
}

func TestALedgerThatStaysAwayMeansThatTheMessageComesAgain(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		j := w.uploaded(t, "a.mp4")
		w.ledger.set(true)
		if err := w.Handle(t.Context(), j.Message()); !errors.Is(err, errAway) || errors.Is(err, job.ErrPoison) {
			t.Errorf("Handle = %v, want the ledger's error", err)
		}
		w.ledger.set(false)
		for name, encode := range map[string]error{"with an MP3": nil, "without": errors.New("crash")} {
			w.encode = func(context.Context, *os.File, *os.File, string, job.Profile, func(int)) (time.Duration, error) {
				w.ledger.set(true)
				return 0, encode
			}
			if err := w.Handle(t.Context(), j.Message()); !errors.Is(err, errAway) {
				t.Errorf("Handle %s = %v, want the ledger's error", name, err)
			}
			w.ledger.set(false)
			time.Sleep(w.rules.Lease)
		}
		w.encode = nil
		w.handle(t, j)
		if got := w.get(t, j.ID); got.State != job.Converted {
			t.Errorf("the job is %s", got.State)
		}
	})
}

func TestALostAnswerOfTheLedgerIsNoLostWork(t *testing.T) {
	for name, call := range map[string]int{"to the claim": 1, "to the commit": 2} {
		t.Run(name, func(t *testing.T) {
			inTime(t, func(t *testing.T, w *world) {
				j := w.uploaded(t, "a.mp4")
				w.ledger.mute = call
				w.handle(t, j)
				if got := w.wantConverted(t, j.ID); got.Attempt != 1 {
					t.Errorf("it took %d attempts", got.Attempt)
				}
				w.wantRung(t, j.ID, 1)
			})
		})
	}
}

func TestABrokerThatIsAwayDelaysOnlyTheMail(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		j := w.uploaded(t, "a.mp4")
		w.ringFail = errAway
		w.handle(t, j)
		got := w.wantConverted(t, j.ID)
		if !got.RingDue(time.Now().Add(w.rules.RingAfter)) {
			t.Errorf("the sweeper is to ring at %v", got.RingAt)
		}
	})
}

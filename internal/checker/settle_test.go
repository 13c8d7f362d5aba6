package checker_test

import (
	"cmp"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"mp3converter/internal/checker"
)

var errLook = errors.New("the store is down")

// Looks: what Settle sees.
const (
	clean = 'c'
	dirty = 'd'
	fault = 'e' // the look errors
	ends  = '.' // ctx ends while a look is under way
)

func TestSettle(t *testing.T) {
	for name, tt := range map[string]struct {
		looks string // the last one stays
		want  string // what is found
		err   error
		took  int           // looks; 0 until ctx ends
		every time.Duration // a second, unless said
	}{
		"clean from the start":                     {looks: "cc", took: 2},
		"clean after a while":                      {looks: "dddcc", took: 5},
		"clean once and dirty again":               {looks: "cdcdcc", took: 6},
		"clean once and dirty for good":            {looks: "dcd", want: "video"},
		"dirty for good":                           {looks: "d", want: "video"},
		"an error between two clean looks":         {looks: "cecc", took: 4},
		"errors for good":                          {looks: "e", err: errLook},
		"clean once, then errors":                  {looks: "ce", err: errLook},
		"clean once when ctx ends":                 {looks: "c", every: time.Hour, err: context.DeadlineExceeded},
		"clean once before a look that ctx ends":   {looks: "dc.", err: context.DeadlineExceeded},
		"ctx ends in the first look":               {looks: ".", err: context.DeadlineExceeded},
		"ctx ends in a look after one that showed": {looks: "d.", want: "video"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				took := 0
				look := func() (checker.State, error) {
					kind := tt.looks[min(took, len(tt.looks)-1)]
					took++
					state := checker.State{Queues: []checker.Queue{{Name: "video"}}}
					switch kind {
					case dirty:
						state.Queues[0].Ready = 1
					case fault:
						return checker.State{}, errLook
					case ends:
						<-ctx.Done()
						return checker.State{}, ctx.Err()
					}
					return state, nil
				}
				var told checker.History
				found, err := checker.New().Settle(ctx, cmp.Or(tt.every, time.Second), look, told.Uploads, checker.Allowed{})
				if !errors.Is(err, tt.err) {
					t.Errorf("error %v, want %v", err, tt.err)
				}
				if (len(found) > 0) != (tt.want != "") || len(found) > 0 && found[0].Invariant != "I8" {
					t.Errorf("found %v, want %q", found, tt.want)
				}
				if ended := ctx.Err() != nil; ended != (tt.took == 0) || !ended && took != tt.took {
					t.Errorf("it took %d looks, want %d; ctx: %v", took, tt.took, ctx.Err())
				}
			})
		})
	}
}

func TestSettleAsksForTheHistoryAfterEachLook(t *testing.T) {
	var told checker.History
	told.Told(checker.Upload{Owner: ann, Status: 503})
	asked := 0
	found, err := checker.New().Settle(t.Context(), 0, func() (checker.State, error) { return checker.State{}, nil }, func() []checker.Upload {
		asked++
		return told.Uploads()
	}, checker.Allowed{})
	if len(found) > 0 || err != nil || asked != 2 {
		t.Errorf("found %v, %v, and asked %d times", found, err, asked)
	}
}

package faults

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"mp3converter/internal/checker"
	"mp3converter/internal/testserver"
	"mp3converter/internal/testsuite"
)

// clientFaults are the rows of the matrix about clients and the way to them.
var clientFaults = []fault{
	{
		name:     "uploads are cut at 1 %, 50 %, 99.9 % and within the last boundary",
		expected: "no job, no chunk, no goroutine is left",
		on:       uploadsAreCut,
	},
	{
		name:     "senders go silent in the middle of the body",
		expected: "408 after STALL_SECONDS, and their places are free again",
		on:       func(t *testing.T, r *rig) string { return sendersStall(t, r, func(*sender) {}) },
	},
	{
		name:     "senders drip one byte a second",
		expected: "the same: they are as silent",
		on:       func(t *testing.T, r *rig) string { return sendersStall(t, r, (*sender).drip) },
	},
	{
		name:     "the reply is lost after the commit, and the client asks again with the same key",
		expected: "the same job, one MP3, one mail",
		on:       replyIsLost,
	},
	{
		name:     "20 uploads at once where 4 are taken",
		expected: "16 are told 503 and when to come again, 4 end well",
		on:       tooManyUploads,
	},
	{
		name:     "40 clients at a gateway with 64 file descriptors",
		slow:     true,
		expected: "none is told anything but 200, 503 or nothing; the gateway lives, and takes all in the end",
		on:       fewDescriptors,
	},
	{
		name:     "uploads at once over a slow and narrow way to the store",
		expected: "at most 32 MiB of the gateway's memory for each",
		slow:     true,
		tell:     memoryIsBounded,
	},
}

// clientRig looks for what a slow store may write late once more after a while that a busy machine has, too.
func clientRig(t *testing.T) *rig {
	return newRig(t, testsuite.NewVhost(t), "WORKERS=1", "CLEAN_SECONDS=8").whole()
}

// uploadsAreCut cuts many, for a leak of few goroutines is not told from those that come and go.
func uploadsAreCut(t *testing.T, r *rig) string {
	const rounds = 8
	v, before := talk(t), refusals(t, r.Gateway)
	for range rounds {
		var all []*sender
		for _, percent := range []float64{1, 50, 99.9, 100} {
			s := r.sender(t, v)
			s.upTo(min(s.percent(percent), len(s.form)-6)) // the boundary ends in --\r\n, of which \r\n may be missing
			all = append(all, s)
		}
		testsuite.Eventually(t, "all are under way", func() bool { return metric(t, r.Gateway, "gateway_uploads") == float64(len(all)) })
		for _, s := range all {
			s.conn.Close()
		}
		testsuite.Eventually(t, "the gateway sees it", func() bool { return metric(t, r.Gateway, "gateway_uploads") == 0 })
	}
	const cut = 4 * rounds
	testsuite.Eventually(t, fmt.Sprintf("exactly the %d that were cut are counted as refused", cut), func() bool { // after their places are free
		return refusals(t, r.Gateway)-before == cut
	})
	r.check(t, checker.Allowed{})
	return fmt.Sprintf("%d cut, nothing left", cut)
}

// refusals is how many uploads the gateway has not taken.
func refusals(t *testing.T, gateway *testsuite.Process) (n float64) {
	t.Helper()
	for name, number := range metrics(t, gateway) {
		if strings.HasPrefix(name, "http_requests_total{") && strings.Contains(name, `route="/upload"`) && !strings.Contains(name, `code="200"`) {
			n += number
		}
	}
	return n
}

// sendersStall has as many senders as are taken stop halfway, each in its own goroutine at whatever it does meanwhile.
func sendersStall(t *testing.T, r *rig, meanwhile func(*sender)) string {
	const places, less = 4, 20 * time.Second // less than the default of STALL_SECONDS
	gateway := r.alone("STALL_SECONDS=7", "MAX_UPLOADS="+fmt.Sprint(places))
	v := talk(t)
	var stalled sync.WaitGroup
	for range places {
		s := r.sender(t, v)
		stalled.Go(func() {
			s.upTo(s.percent(50))
			_ = s.conn.SetReadDeadline(time.Now().Add(less)) // fails on a closed connection only
			meanwhile(s)
			a, err := s.answer()
			if err != nil || a.Status != http.StatusRequestTimeout {
				t.Errorf("a silent sender was answered %d %q, %v, want 408", a.Status, a.Body, err)
			}
		})
	}
	stalled.Wait()
	testsuite.Eventually(t, "their places are free", func() bool { return metric(t, gateway, "gateway_uploads") == 0 })
	r.everywhere(t, v, places)
	r.check(t, checker.Allowed{})
	return fmt.Sprintf("%d times 408, then %d times 200", places, places)
}

// everywhere uploads on all places of the last gateway at once: all are taken before one is whole.
func (r *rig) everywhere(t *testing.T, v testsuite.Video, places int) {
	t.Helper()
	var all []*sender
	for range places {
		s := r.sender(t, v)
		s.upTo(s.percent(50))
		all = append(all, s)
	}
	testsuite.Eventually(t, "all places are taken", func() bool { return metric(t, r.Gateway, "gateway_uploads") == float64(places) })
	for _, s := range all {
		s.upTo(len(s.form))
	}
	for _, s := range all {
		a, err := s.answer()
		if u := r.told(r.person, v, "", a, err); u.Status != http.StatusOK {
			t.Errorf("an upload on a place that was free again was answered %d %q, %v", a.Status, a.Body, err)
		}
	}
}

// drip sends a byte each second until nobody takes it.
func (s *sender) drip() {
	go func() {
		for ; s.sent < len(s.form); time.Sleep(time.Second) {
			if _, err := s.conn.Write(s.form[s.sent : s.sent+1]); err != nil {
				return
			}
			s.sent++
		}
	}()
}

func replyIsLost(t *testing.T, r *rig) string {
	way := testserver.NewProxy(t, strings.TrimPrefix(r.Gates[0], "http://"))
	r.Gates = []string{"http://" + way.Addr}
	v := talk(t)
	cure := way.Poison(testserver.Toxic{Type: "reset_peer", Attributes: map[string]any{"timeout": 0}})
	if first := r.try(v, "the key", 0); first.Status != 0 {
		t.Fatalf("the reply was not lost: %d", first.Status)
	}
	state, err := checker.Look(t.Context(), r.db)
	if err != nil || len(state.Jobs) != 1 || state.Jobs[0].State == "uploading" {
		t.Fatalf("%d jobs after the lost reply: %+v, %v", len(state.Jobs), state.Jobs, err)
	}
	cure()
	if again := r.upload(v, "the key", idle); again.Job != state.Jobs[0].ID {
		t.Errorf("asked again, the client got job %s, want %s", again.Job, state.Jobs[0].ID)
	}
	r.check(t, checker.Allowed{})
	return "the same job, one mail"
}

func tooManyUploads(t *testing.T, r *rig) string {
	const clients, places = 20, 4
	r.alone("MAX_UPLOADS=" + fmt.Sprint(places))
	v := talk(t)
	type told struct {
		*sender
		testsuite.Answer
	}
	answers := make(chan told, clients)
	holding := map[*sender]bool{}
	for range clients {
		s := r.sender(t, v)
		s.upTo(s.percent(5)) // little, so that the answer to what is left unread is not lost with it
		holding[s] = true
		go func() {
			a, err := s.answer()
			r.told(r.person, v, "", a, err)
			answers <- told{s, a}
		}()
	}
	for range clients - places {
		a := <-answers
		delete(holding, a.sender)
		if a.Status != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" {
			t.Errorf("one too many was answered %d %q, Retry-After %q", a.Status, a.Body, a.Header.Get("Retry-After"))
		}
	}
	for s := range holding {
		s.upTo(len(s.form))
	}
	for range places {
		if a := <-answers; a.Status != http.StatusOK {
			t.Errorf("one that was taken was answered %d %q", a.Status, a.Body)
		}
	}
	r.check(t, checker.Allowed{})
	return fmt.Sprintf("%d times 503, %d times 200", clients-places, places)
}

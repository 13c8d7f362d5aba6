package faults

import (
	"fmt"
	"slices"
	"testing"

	"mp3converter/internal/checker"
	"mp3converter/internal/failpoint"
	"mp3converter/internal/testsuite"
)

// hookGround has a notification of the row's own call webhooks.
type hookGround struct{ *ground }

// hookFaults are the rows of the matrix about webhooks.
func hookFaults(t *testing.T) []fault {
	h := hookGround{newGround(t, testsuite.NewVhost(t))}
	row := func(name, expected string, point failpoint.Point, action string, twice bool) fault {
		return fault{name: name, expected: expected, slow: action != "kill", tell: h.on(h.hit(point, action, twice))}
	}
	return []fault{
		row("killed when a delivery is stored, its hook asleep", "told once", failpoint.DeliveryStored, "kill", false),
		row("fails there", "told once", failpoint.DeliveryStored, "error", false),
		row("killed when the hook is awake, the job untold", "told", failpoint.HookWoken, "kill", true), // another may be at the delivery by then
		row("killed before a delivery is sent", "told once", failpoint.HookClaimed, "kill", false),
		row("killed when the receiver has it", "told twice under one id", failpoint.DeliveryTaken, "kill", true),
		row("frozen when the receiver has it", "told, by another, under one id", failpoint.DeliveryTaken, "freeze", true),
		{name: "the receiver is away for the first three tries", expected: "told by the fourth, under one id", tell: h.on(h.receiverAway)},
	}
}

// caller is the row's notification.
func (h hookGround) caller(t *testing.T, settings ...string) *testsuite.Process {
	t.Helper()
	return h.guest("notification", append([]string{
		testsuite.AllowReceivers, "WEBHOOK_RETRY_SECONDS=0.2,0.2,0.2,0.2,0.2,0.2", "WEBHOOK_POLL_SECONDS=0.2",
	}, settings...)...)
}

// ready has the resident notification out of the way, and a gateway that takes webhooks to receivers.
func (h hookGround) ready(t *testing.T, answer func(n int) int) (*testsuite.Receiver, testsuite.Hook) {
	t.Helper()
	h.out(t, "notification")
	h.guest("gateway", testsuite.AllowReceivers)
	r := testsuite.NewReceiver(t, answer)
	return r, h.person.AddHook(t, r.URL)
}

// hit has a notification be hit while it tells of a job's end; then it is started again, or another takes over.
func (h hookGround) hit(point failpoint.Point, action string, twice bool) func(t *testing.T) string {
	return func(t *testing.T) string {
		receiver, hook := h.ready(t, nil)
		fired, settings := hits(t, point, action, 1)
		p := h.caller(t, settings...)
		u := h.takes(t, clip(t, "told.mp4", 1))[0]
		testsuite.Eventually(t, "the point is passed", func() bool { return exists(fired) })
		switch action {
		case "kill":
			testsuite.Eventually(t, "the process is dead", p.Ended)
			p.Again(t)
		case "freeze":
			h.caller(t)
			thaw(t, fired, []*testsuite.Process{p})
		}
		seen := h.told(t, receiver, hook, u, twice)
		h.check(t, checker.Allowed{DuplicateMails: true}) // the process may have had the mail in hand as well
		return seen
	}
}

// told waits until the receiver has heard of the job's end, and the log and the job say so.
func (h hookGround) told(t *testing.T, r *testsuite.Receiver, hook testsuite.Hook, u checker.Upload, twice bool) string {
	t.Helper()
	testsuite.Eventually(t, "the delivery is noted", func() bool {
		log := h.person.Deliveries(t, hook)
		return len(log) == 1 && log[0].State == "delivered" && testsuite.OrEmpty(log[0].Job) == u.Job
	})
	testsuite.Eventually(t, "the job owes nothing", func() bool { return h.record(t, u.Job).TellAt.IsZero() })
	all := r.Got(hook.Secret)
	for _, g := range all {
		if !g.Good || g.ID != all[0].ID || g.Type != "job.done" || g.Job.ID != u.Job || g.Job.MP3 == nil {
			t.Errorf("the receiver got %+v", g)
		}
	}
	if len(all) == 0 || len(all) > 1 && !twice {
		t.Errorf("the receiver was told %d times", len(all))
	}
	return fmt.Sprintf("told %d times", len(all))
}

func (h hookGround) receiverAway(t *testing.T) string {
	answers := []int{500, 503, 502}
	receiver, hook := h.ready(t, func(n int) int { return slices.Concat(answers, []int{200, 200})[n-1] })
	h.caller(t, longLease) // it counts tries
	u := h.takes(t, clip(t, "away.mp4", 1))[0]
	seen := h.told(t, receiver, hook, u, true)
	if n := len(receiver.Got(hook.Secret)); n != 4 {
		t.Errorf("%d tries, want 4", n)
	}
	h.check(t, checker.Allowed{})
	return seen
}

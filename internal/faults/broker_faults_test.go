package faults

import (
	"fmt"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"mp3converter/internal/checker"
	"mp3converter/internal/failpoint"
	"mp3converter/internal/testsuite"
)

// brokerFaults are the rows of the matrix about the broker.
func brokerFaults(t *testing.T) []fault {
	b := newBrokerGround(t)
	return append(b.messageFaults(), []fault{
		{"absent when the services start, and for a while", "they start, uploads 200, drained later", true, b.on(b.absent), nil},
		{"memory alarm", "uploads 200, SIGTERM ends the gateway meanwhile, drained later", false, b.on(b.alarm), nil},
		{"queue video deleted while a job waits in it", "one MP3, one mail", false, b.on(b.videoDeleted), nil},
		{"queue mp3 deleted while a mail waits in it", "one MP3, one mail", false, b.on(b.mp3Deleted), nil},
		{"all its data erased, with jobs queued, converting and converted", "all done", true, b.on(b.erased), nil},
		{"killed between publish and confirm, of the gateway", "published again, for the broker has lost it; one MP3, one mail", true, b.on(b.killedUnderGateway), nil},
		{"killed between publish and confirm, of the converter", "published again, for the broker has lost it; one MP3, one mail", true, b.on(b.killedUnderConverter), nil},
		{"a queue is full", "uploads 200, published later", true, b.on(b.full), nil},
		{"frozen for some seconds", "uploads 200, drained later", true, b.on(b.frozen), nil},
		{"queue made otherwise beforehand", "said in /readyz and log, no crash; works once it is mended", true, b.on(b.madeOtherwise), nil},
		{"conversion longer than the broker's consumer timeout", "not lost, not looped: one attempt, one MP3, one mail", true, b.on(b.consumerTimeout), nil},
		{"all of these", "no message is handed out and never settled", false, b.on(b.afterAll), nil},
	}...)
}

func (b *brokerGround) absent(t *testing.T) string {
	b.out(t, "gateway", "converter", "notification")
	b.away(t, func() {
		b.in(t, "notification", "converter", "gateway")
		says(t, b.residents["gateway"].Process, "ready, coping without:\nrabbitmq: ")
		says(t, b.residents["converter"].Process, "not ready:\nrabbitmq: ")
		b.takes(t, clips(t, 3)...)
	})
	b.check(t, checker.Allowed{})
	return "3 uploads 200, 3 done"
}

func (b *brokerGround) alarm(t *testing.T) string {
	gateway := b.residents["gateway"]
	b.ctl(t, "set_vm_memory_high_watermark", "0")
	defer b.ctl(t, "set_vm_memory_high_watermark", "0.4")
	before := b.takes(t, clips(t, 3)...)
	says(t, gateway.Process, "blocked by the broker: low on memory")
	b.out(t, "gateway") // which must end well
	b.in(t, "gateway")
	before = append(before, b.takes(t, clip(t, "second.mp4", 1))...)
	for _, u := range before {
		if state := b.person.Job(t, u.Job).State; state != "queued" {
			t.Errorf("job %s is %s while nobody can be rung for", u.Name, state)
		}
	}
	b.ctl(t, "set_vm_memory_high_watermark", "0.4")
	b.check(t, checker.Allowed{})
	return "4 uploads 200, gateway ended with 0, 4 done"
}

func (b *brokerGround) videoDeleted(t *testing.T) string {
	b.out(t, "converter")
	b.takes(t, clip(t, "waits.mp4", 1))
	testsuite.Eventually(t, "a message waits", func() bool { return b.depth(t, "video") > 0 })
	b.ctl(t, "delete_queue", "video")
	b.takes(t, clip(t, "next.mp4", 1))
	b.in(t, "converter")
	b.check(t, checker.Allowed{})
	return "2 done"
}

func (b *brokerGround) mp3Deleted(t *testing.T) string {
	b.out(t, "notification")
	u := b.takes(t, clip(t, "waits.mp4", 1))[0]
	b.is(t, u, "converted")
	testsuite.Eventually(t, "a message waits", func() bool { return b.depth(t, "mp3") > 0 })
	b.ctl(t, "delete_queue", "mp3")
	b.is(t, b.takes(t, clip(t, "next.mp4", 1))[0], "converted")
	b.in(t, "notification")
	b.check(t, checker.Allowed{})
	return "2 done"
}

func (b *brokerGround) erased(t *testing.T) string {
	b.out(t, "notification")
	b.is(t, b.takes(t, clip(t, "mail waits.mp4", 1))[0], "converted")
	b.out(t, "converter")
	settings, letGo := held(t, "is converted.mp4")
	defer letGo()
	b.guest("converter", settings...)
	converting := b.takes(t, clip(t, "is converted.mp4", 1))[0]
	b.is(t, converting, "converting")
	waiting := b.takes(t, clip(t, "waits.mp4", 1))[0]
	b.emptied(t, func() {
		for u, want := range map[checker.Upload]string{converting: "converting", waiting: "queued"} {
			if state := b.person.Job(t, u.Job).State; state != want {
				t.Errorf("job %s is %s when the broker's data is erased, want %s", u.Name, state, want)
			}
		}
	})
	letGo()
	b.in(t, "notification")
	b.check(t, checker.Allowed{})
	return "3 done"
}

// unreminded has nobody ring again for what the broker has confirmed, so that a job that was rung for is not rescued.
var unreminded = []string{"REMIND_SECONDS=3600", "REMIND_MAX_SECONDS=3600"}

func (b *brokerGround) killedUnderGateway(t *testing.T) string {
	b.out(t, "gateway")
	fired, settings := hits(t, failpoint.Published, "stall", 1)
	gateway := b.guest("gateway", append(settings, unreminded...)...)
	told := b.trying(t, clip(t, "unconfirmed.mp4", 1))
	testsuite.Eventually(t, "the message is on its way", func() bool { return exists(fired) })
	b.emptied(t, func() { // else the message would be there again, and nobody need publish it
		if metrics(t, gateway)["gateway_uploads"] != 1 {
			t.Fatal("the broker was killed too late: the gateway had gone on")
		}
		if u := <-told; u.Status != 200 {
			t.Errorf("the upload was answered %d", u.Status)
		}
	})
	b.check(t, checker.Allowed{})
	return "200, done"
}

func (b *brokerGround) killedUnderConverter(t *testing.T) string {
	b.out(t, "converter")
	fired, settings := hits(t, failpoint.Published, "stall", 1)
	converter := b.guest("converter", append(settings, unreminded...)...)
	b.takes(t, clip(t, "unconfirmed.mp4", 1))
	testsuite.Eventually(t, "the message is on its way", func() bool { return exists(fired) })
	b.emptied(t, func() {
		if metrics(t, converter)["mp3_conversions_running"] != 1 {
			t.Fatal("the broker was killed too late: the converter had gone on")
		}
	})
	b.check(t, checker.Allowed{})
	return "done"
}

func (b *brokerGround) full(t *testing.T) string {
	b.out(t, "converter")
	b.ctl(t, "set_policy", "short", "^video$", `{"max-length":2,"overflow":"reject-publish"}`, "--apply-to", "queues")
	defer b.ctl(t, "clear_policy", "short")
	b.takes(t, clips(t, 6)...)
	testsuite.Eventually(t, "the gateway is refused", func() bool {
		return b.residents["gateway"].Wrote("refused by the broker")
	})
	fits := b.depth(t, "video")
	if fits >= 6 {
		t.Errorf("%d messages are in a queue for 2", fits)
	}
	b.in(t, "converter")
	b.check(t, checker.Allowed{})
	return fmt.Sprintf("6 uploads 200, %d fitted, 6 done", fits)
}

func (b *brokerGround) frozen(t *testing.T) string {
	thaw := b.server.Freeze(t)
	for _, u := range b.takes(t, clips(t, 3)...) {
		if state := b.person.Job(t, u.Job).State; state != "queued" {
			t.Errorf("job %s is %s while nobody can be rung for", u.Name, state)
		}
	}
	thaw()
	b.check(t, checker.Allowed{})
	return "3 uploads 200, 3 done"
}

// madeOtherwise has an operator make the queue by hand, and mend it.
func (b *brokerGround) madeOtherwise(t *testing.T) string {
	b.out(t, "gateway", "converter") // what runs has seen to the queue already
	b.ctl(t, "delete_queue", "video")
	if _, err := channel(t, b.Broker).QueueDeclare("video", true, false, false, false, amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeClassic}); err != nil {
		t.Fatal(err)
	}
	mend := sync.OnceFunc(func() { b.ctl(t, "delete_queue", "video") })
	defer mend()
	b.in(t, "gateway", "converter")
	const mistake = "the queue was made otherwise than QUEUE_TYPE=quorum makes it"
	says(t, b.residents["converter"].Process, mistake)
	u := b.takes(t, clip(t, "waits.mp4", 1))[0]
	for _, name := range []string{"converter", "gateway"} {
		testsuite.Eventually(t, name+" logs it", func() bool { return b.residents[name].Wrote(mistake) })
	}
	if state := b.person.Job(t, u.Job).State; state != "queued" {
		t.Errorf("the job is %s", state)
	}
	mend()
	b.check(t, checker.Allowed{})
	return "upload 200, converter not ready and says why, gateway logs it, done once mended"
}

// consumerTimeout has the broker lose patience with the converter, again and again.
func (b *brokerGround) consumerTimeout(t *testing.T) string {
	patience := func(timeout, look time.Duration) { // a channel takes them when it is opened
		b.ctl(t, "eval", fmt.Sprintf("application:set_env(rabbit, consumer_timeout, %d), application:set_env(rabbit, channel_tick_interval, %d).",
			timeout.Milliseconds(), look.Milliseconds()))
	}
	defer patience(30*time.Minute, time.Minute) // the defaults
	patience(2*time.Second, time.Second)
	b.out(t, "converter")
	converter := b.guest("converter", "FFMPEG="+testsuite.SlowFFmpeg(t), "SANDBOX=off", longLease)
	u := b.takes(t, clip(t, "long.mp4", 12))[0]
	b.is(t, u, "converted", "done")
	b.check(t, checker.Allowed{})
	if !converter.Wrote("PRECONDITION_FAILED - delivery acknowledgement on channel") {
		t.Error("the broker did not lose patience")
	}
	if n := b.person.Job(t, u.Job).Attempts; n != 1 {
		t.Errorf("%d attempts, want 1", n)
	}
	return "channel closed with 406, 1 attempt, done"
}

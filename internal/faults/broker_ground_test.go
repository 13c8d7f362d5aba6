package faults

import (
	"strings"
	"testing"

	"mp3converter/internal/checker"
	"mp3converter/internal/testserver"
	"mp3converter/internal/testsuite"
)

// brokerGround has a broker that the rows may break: nobody else uses it.
type brokerGround struct {
	*ground
	server *testserver.Rabbit
}

func newBrokerGround(t *testing.T) *brokerGround {
	t.Helper()
	server, err := testserver.StartRabbitMQ()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Kill)
	return &brokerGround{newGround(t, server.URL(), "CONFIRM_SECONDS=2"), server}
}

// away kills the broker, has something happen meanwhile, and starts it again over what is left of its data.
func (b *brokerGround) away(t *testing.T, meanwhile func()) {
	t.Helper()
	if err := b.server.Flush(); err != nil {
		t.Fatal(err)
	}
	b.killed(t, meanwhile)
}

// emptied is away for good: nothing of the broker's data is left.
func (b *brokerGround) emptied(t *testing.T, meanwhile func()) {
	t.Helper()
	b.killed(t, func() {
		if err := b.server.Erase(); err != nil {
			t.Fatal(err)
		}
		meanwhile()
	})
}

func (b *brokerGround) killed(t *testing.T, meanwhile func()) {
	t.Helper()
	b.server.Kill()
	defer func() { // also if meanwhile ends the test: the next row finds a broker
		if err := b.server.Restart(); err != nil {
			t.Error(err)
		}
	}()
	meanwhile()
}

// ctl runs rabbitmqctl.
func (b *brokerGround) ctl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := b.server.Ctl(args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// depth is how many messages wait in the queue.
func (b *brokerGround) depth(t *testing.T, queue string) int {
	t.Helper()
	all, _, err := checker.LookAtQueues(b.Broker)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range all {
		if q.Name == queue {
			return q.Ready
		}
	}
	t.Fatalf("there is no queue %s", queue)
	return 0
}

// afterAll fails the test if a message was handed out and is never settled.
func (b *brokerGround) afterAll(t *testing.T) string {
	testsuite.Eventually(t, "no message is handed out and not settled", func() bool {
		return len(unsettled(b.ctl(t, "list_queues", "name", "messages_unacknowledged"))) == 0
	})
	return "none"
}

// says waits until the service's /readyz has the text.
func says(t *testing.T, p *testsuite.Process, text string) {
	t.Helper()
	testsuite.Eventually(t, p.Name+" says in /readyz: "+text, func() bool { return strings.Contains(p.Ready(t).Body, text) })
}

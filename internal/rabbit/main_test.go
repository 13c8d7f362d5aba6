package rabbit_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"go.uber.org/goleak"

	"mp3converter/internal/job"
	"mp3converter/internal/rabbit"
	"mp3converter/internal/testserver"
)

func TestMain(m *testing.M) { testserver.Main(m) }

// server is the one of this package; tests that harm it mend it. They run one after the other.
var server = sync.OnceValues(testserver.StartRabbitMQ)

func rabbitmq(t *testing.T) *testserver.Rabbit {
	t.Helper()
	s, err := server()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// checkLeaks looks for left goroutines at the test's end, after everything that the test is to clean up from here on.
func checkLeaks(t *testing.T) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	server := goleak.IgnoreAnyFunction("mp3converter/internal/testserver.(*Server).run.func1")
	t.Cleanup(func() { goleak.VerifyNone(t, before, server) })
}

// newBroker opens a broker with times fit for tests and closes it at the test's end.
func newBroker(t *testing.T, cfg rabbit.Config) *rabbit.Broker {
	t.Helper()
	if cfg.Pause == 0 {
		cfg.Pause = 20 * time.Millisecond
	}
	if cfg.ConfirmTimeout == 0 {
		cfg.ConfirmTimeout = 30 * time.Second // of patience, so that there is time for another try
	}
	cfg.Name, cfg.Log = t.Name(), slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	b := rabbit.New(cfg)
	t.Cleanup(b.Close)
	return b
}

func newMessage() job.Message {
	return job.Message{Video: job.NewID(time.Now()), Username: "sid@gmail.com"}
}

func queueName() string { return "test-" + rand.Text() }

// consume runs Consume until the test's end, or until stop, which fails the test if it returns an error.
func consume(t *testing.T, b *rabbit.Broker, queue string, workers int, handle rabbit.Handle) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Consume(ctx, queue, workers, handle) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := receive(t, done, "Consume to return"); err != nil {
			t.Errorf("Consume: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func into(got chan<- job.Message) rabbit.Handle {
	return func(_ context.Context, m job.Message) error {
		got <- m
		return nil
	}
}

// patience is more than anything here takes on a busy machine, where a broker that starts has consumers wait half a minute for
// their next try.
const patience = 2 * time.Minute

func receive[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

// eventually polls until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// admin is a channel past the code under test.
func admin(t *testing.T, url string) *amqp.Channel {
	t.Helper()
	conn, err := amqp.Dial(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

// take removes one message from the queue, having waited for it.
func take(t *testing.T, ch *amqp.Channel, queue string) amqp.Delivery {
	t.Helper()
	var d amqp.Delivery
	eventually(t, "a message in "+queue, func() bool {
		var ok bool
		var err error
		if d, ok, err = ch.Get(queue, true); err != nil {
			t.Fatal(err)
		}
		return ok
	})
	return d
}

// proxy stands between client and broker and fails on command.
type proxy struct {
	addr, to string

	mu     sync.Mutex
	listen net.Listener
	conns  map[net.Conn]bool
	mute   bool // what the broker says is swallowed
	work   sync.WaitGroup
}

// newProxy returns a proxy that does not listen yet.
func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	addr, err := testserver.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: addr, to: to, conns: map[net.Conn]bool{}}
	t.Cleanup(p.down)
	return p
}

// url is the broker's by way of the proxy.
func (p *proxy) url() string { return "amqp://guest:guest@" + p.addr + "/" }

func (p *proxy) up(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	p.listen, p.mute = l, false
	p.work.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			p.work.Go(func() { p.serve(client) })
		}
	})
}

// down refuses new connections and cuts the others.
func (p *proxy) down() {
	if p.listen != nil {
		p.listen.Close()
	}
	p.cut()
	p.work.Wait()
}

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
}

// muteBroker lets nothing more come back from the broker.
func (p *proxy) muteBroker() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mute = true
}

func (p *proxy) muted() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mute
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	broker, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer broker.Close()
	p.mu.Lock()
	p.conns[client], p.conns[broker] = true, true
	p.mu.Unlock()
	p.work.Go(func() {
		defer client.Close()
		p.copy(client, broker, p.muted)
	})
	p.copy(broker, client, func() bool { return false })
}

func (p *proxy) copy(to, from net.Conn, mute func() bool) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if mute() {
			continue
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

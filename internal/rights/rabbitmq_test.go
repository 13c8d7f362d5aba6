package rights

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	amqp "github.com/rabbitmq/amqp091-go"

	"mp3converter/internal/manifests"
	"mp3converter/internal/testserver"
	"mp3converter/internal/testsuite"
)

// shipped is manifests/, and what its pods are told.
func shipped(t *testing.T) (*manifests.Set, func(workload string) map[string]string) {
	t.Helper()
	s, err := manifests.Read()
	if err != nil {
		t.Fatal(err)
	}
	return s, func(workload string) map[string]string {
		w, ok := s.Workload(workload)
		if !ok {
			t.Fatalf("no workload %s", workload)
		}
		return s.Environment(w)
	}
}

// definitions runs what RabbitMQ's pod runs before the server, and returns what it wrote.
func definitions(t *testing.T, env map[string]string) string {
	t.Helper()
	s, _ := shipped(t)
	w, _ := s.Workload("rabbitmq")
	dir := t.TempDir()
	written := filepath.Join(dir, "written.json")
	conf, ok := manifests.Config(s, "rabbitmq-conf")["definitions.json"]
	if !ok {
		t.Fatal("no definitions.json")
	}
	for name, content := range map[string]string{"definitions.json": conf, "docker-entrypoint.sh": "#!/bin/sh\n[ \"$*\" = rabbitmq-server ]\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	script := strings.NewReplacer("/etc/rabbitmq/definitions.json", dir+"/definitions.json", "/tmp/definitions.json", written).Replace(w.Container().Args[0])
	cmd := exec.Command(w.Container().Command[0], append(w.Container().Command[1:], script)...)
	cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH")}
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	info, err := os.Stat(written)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("what holds all passwords has mode %v", info.Mode())
	}
	return testsuite.Read(t, written)
}

func TestAnyPasswordGoesIntoTheDefinitions(t *testing.T) {
	_, environment := shipped(t)
	env := environment("rabbitmq")
	env["CONVERTER_PASSWORD"] = `"quoted" \ & $1 '`
	escaped := `"password": "\"quoted\" \\ & $1 '"`
	if got := definitions(t, env); !strings.Contains(got, escaped) || strings.Contains(got, "PASS") {
		t.Errorf("no %s in\n%s", escaped, got)
	}
}

var started = sync.OnceValues(testserver.StartRabbitMQ)

// rabbitmq is a server that has loaded the definitions at its start, over data of before.
func rabbitmq(t *testing.T) *testserver.Rabbit {
	t.Helper()
	r, err := started()
	if err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(r.Dir, "rabbitmq.conf")
	if _, err := os.Stat(conf); err == nil {
		return r
	}
	_, environment := shipped(t)
	file := filepath.Join(r.Dir, "definitions.json")
	if err := os.WriteFile(file, []byte(definitions(t, environment("rabbitmq"))), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(conf, []byte("load_definitions = "+file+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.Kill()
	if err := r.Restart(); err != nil {
		t.Fatal(err)
	}
	return r
}

// brokerOf is where a service logs in, at this server.
func brokerOf(t *testing.T, r *testserver.Rabbit, service string) string {
	t.Helper()
	_, environment := shipped(t)
	u, err := url.Parse(environment(service)["RABBITMQ_URL"])
	if err != nil {
		t.Fatal(err)
	}
	u.Host = r.Addr
	return u.String()
}

// administrator is who makes what the others may not touch.
func administrator(t *testing.T, r *testserver.Rabbit) *amqp.Connection {
	t.Helper()
	_, environment := shipped(t)
	env := environment("rabbitmq")
	return dial(t, "amqp://"+env["RABBITMQ_DEFAULT_USER"]+":"+env["RABBITMQ_DEFAULT_PASS"]+"@"+r.Addr+"/")
}

func dial(t *testing.T, address string) *amqp.Connection {
	t.Helper()
	conn, err := amqp.Dial(address)
	if err != nil {
		t.Fatalf("log in: %v", err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// queues are those there are: the services', and somebody else's.
var queues = []string{"video", "video.dead", "mp3", "mp3.dead", "others"}

const exchange = "mp3converter"

// acts are all that an AMQP client can do to a queue, or by one.
var acts = map[string]func(ch *amqp.Channel, queue string) error{
	"publishes to": func(ch *amqp.Channel, queue string) error { return publish(ch, exchange, queue) },
	"publishes by the default exchange to": func(ch *amqp.Channel, queue string) error {
		return publish(ch, "", queue)
	},
	"reads": func(ch *amqp.Channel, queue string) error {
		_, _, err := ch.Get(queue, true)
		return err
	},
	"consumes": func(ch *amqp.Channel, queue string) error {
		_, err := ch.Consume(queue, "", true, false, false, false, nil)
		return err
	},
	"purges": func(ch *amqp.Channel, queue string) error {
		_, err := ch.QueuePurge(queue, false)
		return err
	},
	"declares": func(ch *amqp.Channel, queue string) error {
		_, err := ch.QueueDeclare(queue, true, false, false, false, amqp.Table{"x-queue-type": "classic"})
		return err
	},
	"binds": func(ch *amqp.Channel, queue string) error { return ch.QueueBind(queue, queue, exchange, false, nil) },
	"eavesdrops on": func(ch *amqp.Channel, queue string) error { // by another key of a queue that it has
		return ch.QueueBind("mp3", queue, exchange, false, nil)
	},
}

func publish(ch *amqp.Channel, exchange, key string) error {
	if err := ch.Confirm(false); err != nil {
		return err
	}
	closed := ch.NotifyClose(make(chan *amqp.Error, 1))
	confirm, err := ch.PublishWithDeferredConfirm(exchange, key, false, false, amqp.Publishing{Body: []byte("tried")})
	if err != nil {
		return err
	}
	select {
	case <-confirm.Done():
		if confirm.Acked() {
			return nil
		}
		return <-closed
	case err := <-closed:
		return err
	}
}

// allowed are the acts that each user may do, and the queues to do them with. Nobody may do anything else.
var allowed = map[string]map[string]string{
	"gateway": {
		"publishes to": "video mp3",
		// Whoever makes a queue that has dead letters must be let to read it; the dead letters are the operators'.
		"reads": "video video.dead mp3 mp3.dead", "consumes": "video video.dead mp3 mp3.dead", "purges": "video video.dead mp3 mp3.dead",
		"declares": "video video.dead mp3 mp3.dead", "binds": "video video.dead mp3 mp3.dead", "eavesdrops on": "video video.dead mp3 mp3.dead",
	},
	"converter": {
		"publishes to": "video.dead mp3",
		"reads":        "video", "consumes": "video", "purges": "video",
		"declares": "video video.dead mp3 mp3.dead", "binds": "video video.dead mp3 mp3.dead", "eavesdrops on": "video video.dead mp3 mp3.dead",
	},
	"notification": {
		"publishes to": "mp3.dead",
		"reads":        "mp3", "consumes": "mp3", "purges": "mp3",
		"declares": "mp3 mp3.dead", "binds": "mp3 mp3.dead", "eavesdrops on": "mp3 mp3.dead",
	},
}

func TestAtRabbitMQEachServiceMayDoWhatItNeedsAndNothingElse(t *testing.T) {
	r := rabbitmq(t)
	ch, err := administrator(t, r).Channel()
	if err != nil {
		t.Fatal(err)
	}
	if err := ch.ExchangeDeclare(exchange, amqp.ExchangeTopic, true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	for _, queue := range queues {
		if _, err := ch.QueueDeclare(queue, true, false, false, false, amqp.Table{"x-queue-type": "classic"}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = ch.QueueDelete(queue, false, false, false) })
	}
	for service, may := range allowed {
		got := map[string]string{}
		conn := dial(t, brokerOf(t, r, service))
		for act, do := range acts {
			var let []string
			for _, queue := range queues {
				ch, err := conn.Channel() // a refusal costs it
				if err != nil {
					t.Fatal(err)
				}
				err = do(ch, queue)
				if err == nil {
					let = append(let, queue)
				} else if refused, ok := errors.AsType[*amqp.Error](err); !ok || refused.Code != amqp.AccessRefused {
					t.Errorf("%s %s %s: %v", service, act, queue, err)
				}
				_ = ch.Close() // may be closed
			}
			if let != nil {
				got[act] = strings.Join(let, " ")
			}
		}
		if diff := cmp.Diff(may, got); diff != "" {
			t.Errorf("what %s may do:\n%s", service, diff)
		}
	}
}

func TestAtRabbitMQNoServiceIsAnAdministrator(t *testing.T) {
	out, err := rabbitmq(t).Ctl("list_users", "--no-table-headers")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for line := range strings.Lines(out) {
		name, tags, _ := strings.Cut(strings.TrimSpace(line), "\t")
		got[name] = tags
	}
	delete(got, "guest") // of the data that was there before
	want := map[string]string{"mp3converter": "[administrator]", "gateway": "[]", "converter": "[]", "notification": "[]"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("users and their tags:\n%s", diff)
	}
	for _, service := range []string{"gateway", "converter", "notification"} {
		address := brokerOf(t, rabbitmq(t), service)
		for _, vhost := range []string{"other", "%2f%2f"} {
			if conn, err := amqp.Dial(address + vhost); err == nil {
				conn.Close()
				t.Errorf("%s is let into the virtual host %s", service, vhost)
			}
		}
		if _, err := amqp.Dial(fmt.Sprintf("amqp://%s:guest@%s/", service, rabbitmq(t).Addr)); err == nil {
			t.Errorf("%s is let in with another password", service)
		}
	}
}

package e2e

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"mp3converter/internal/checker"
	"mp3converter/internal/testsuite"
)

// calm is how long the installation may take to come to rest.
const calm = 5 * time.Minute

// stores are ways past the services to what the installation holds.
type stores struct {
	db     *mongo.Client
	broker *url.URL
	admin  string // URL of the broker's management API
}

// open opens the stores, as their administrators: no service may see everything.
func (c *cluster) open(t *testing.T) *stores {
	t.Helper()
	mongodb := url.URL{
		Scheme: "mongodb", Host: forward(t, "statefulset/mongodb", "27017"), Path: "/", RawQuery: "directConnection=true",
		User: url.UserPassword(secret(t, "mongodb", "MONGO_INITDB_ROOT_USERNAME"), secret(t, "mongodb", "MONGO_INITDB_ROOT_PASSWORD")),
	}
	db, err := mongo.Connect(options.Client().ApplyURI(mongodb.String()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Disconnect(context.WithoutCancel(t.Context())) })
	user := kubectl(t, "get", "configmap", "rabbitmq-configmap", "-o", "jsonpath={.data.RABBITMQ_DEFAULT_USER}")
	return &stores{
		db: db,
		broker: &url.URL{
			Scheme: "amqp", Host: forward(t, "statefulset/rabbitmq", "5672"), Path: "/",
			User: url.UserPassword(user, secret(t, "rabbitmq", "RABBITMQ_DEFAULT_PASS")),
		},
		admin: "http://" + forward(t, "statefulset/rabbitmq", "15672"),
	}
}

// secret returns what a service or server is given: the random value of make secrets, else the published one.
func secret(t *testing.T, service, key string) string {
	t.Helper()
	for _, name := range []string{service + "-random", service + "-secret"} {
		out, err := try(t.Context(), "get", "secret", name, "--ignore-not-found", "-o", "jsonpath={.data."+key+"}")
		if err != nil {
			t.Fatal(err)
		}
		value, err := base64.StdEncoding.DecodeString(out)
		if err != nil {
			t.Fatal(err)
		}
		if len(value) > 0 {
			return string(value)
		}
	}
	t.Fatalf("no Secret of %s holds %s", service, key)
	return ""
}

// settles waits until the checker finds nothing wrong, and fails the test with what it finds otherwise. It returns the last
// state.
func (c *cluster) settles(t *testing.T) (last checker.State) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), calm)
	defer cancel()
	open := c.open(t)
	found, err := c.checker.Settle(ctx, 2*time.Second, func() (checker.State, error) {
		s, err := c.look(ctx, t, open)
		if err == nil {
			last = s
		}
		return s, err
	}, c.history.Uploads, checker.Allowed{DuplicateMails: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range found {
		t.Error(v)
	}
	states := map[string]int{}
	for _, j := range last.Jobs {
		states[j.State]++
	}
	ids := map[string]bool{}
	for _, m := range last.Mails {
		ids[m.MessageID] = true
	}
	c.say(t, "checker: %d uploads, jobs %v, %d mails, %d of them once more, %d violations",
		len(c.history.Uploads()), states, len(last.Mails), len(last.Mails)-len(ids), len(found))
	return last
}

// look is one look at everything that this test is responsible for.
func (c *cluster) look(ctx context.Context, t *testing.T, at *stores) (s checker.State, err error) {
	if s.Stores, err = checker.Look(ctx, at.db); err != nil {
		return s, err
	}
	c.before.leaveOut(&s.Stores)
	s.Mails = c.letters.collect(t, c)
	s.Processes = processes(t)
	if s.Queues, s.Dead, err = checker.LookAtQueues(at.broker.String()); err != nil {
		return s, err
	}
	return s, at.unacked(t, s.Queues)
}

// unacked adds how many messages are handed out and not settled.
func (s *stores) unacked(t *testing.T, queues []checker.Queue) error {
	password, _ := s.broker.User.Password()
	a, err := testsuite.Request{Base: s.admin, Path: "/api/queues", Auth: testsuite.Basic(s.broker.User.Username(), password)}.Try()
	if err != nil {
		return err
	}
	if a.Status != http.StatusOK {
		t.Fatalf("RabbitMQ's management answers %d %.300q", a.Status, a.Body)
	}
	var all []struct {
		Name    string
		Unacked int `json:"messages_unacknowledged"`
	}
	if err := json.Unmarshal([]byte(a.Body), &all); err != nil {
		t.Fatalf("RabbitMQ's management answers %.300q: %v", a.Body, err)
	}
	for i := range queues {
		for _, q := range all {
			if q.Name == queues[i].Name {
				queues[i].Unacked = q.Unacked
			}
		}
	}
	return nil
}

// seen is what was there at some time, by id.
type seen struct{ jobs, files, mails map[string]bool }

// everything is what is there now.
func (c *cluster) everything(t *testing.T) seen {
	t.Helper()
	s := seen{map[string]bool{}, map[string]bool{}, map[string]bool{}}
	held, err := checker.Look(t.Context(), c.open(t).db)
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range held.Jobs {
		s.jobs[j.ID] = true
	}
	for _, b := range []checker.Bucket{held.Videos, held.MP3s} {
		for _, f := range b.Files {
			s.files[f.ID.Hex()] = true
		}
	}
	c.letters.collect(t, c)
	for id := range c.letters.all {
		s.mails[id] = true
	}
	return s
}

// leaveOut leaves out of the stores what was seen.
func (s seen) leaveOut(from *checker.Stores) {
	from.Jobs = slices.DeleteFunc(from.Jobs, func(j checker.Job) bool { return s.jobs[j.ID] })
	for _, b := range []*checker.Bucket{&from.Videos, &from.MP3s} {
		b.Files = slices.DeleteFunc(b.Files, func(f checker.File) bool { return s.files[f.ID.Hex()] })
		b.Chunks = slices.DeleteFunc(b.Chunks, func(c checker.Chunk) bool { return s.files[c.File.Hex()] })
	}
}

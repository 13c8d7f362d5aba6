package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"mp3converter/cmd/internal/backend"
	"mp3converter/internal/job"
	"mp3converter/internal/settings"
	"mp3converter/internal/testserver"
)

func TestMain(m *testing.M) { testserver.Main(m) }

// shop is a real ledger, files and broker, and what an operator sees of them.
type shop struct {
	*testing.T
	*backend.Backend
	environ []string
	rabbit  *amqp.Channel
	mongodb string // the connection string
}

func open(t *testing.T) *shop {
	t.Helper()
	broker := testserver.RabbitMQ(t)
	database, err := testserver.StartFerretDB() // of its own: the names of databases are fixed
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(database.Kill)
	environ := []string{"MONGODB_URI=" + database.URI(), "RABBITMQ_URL=" + broker}
	cfg, err := settings.Load[backend.Settings](environ)
	if err != nil {
		t.Fatal(err)
	}
	b, err := backend.Connect(t.Name(), cfg, 0, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	conn, err := amqp.Dial(broker)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	return &shop{t, b, environ, ch, database.URI()}
}

// try runs a command line.
func (s *shop) try(line string) (string, error) {
	s.Helper()
	var out strings.Builder
	err := operate(s.Context(), strings.Fields(line), &out, s.environ)
	return out.String(), err
}

func (s *shop) run(line string) string {
	s.Helper()
	out, err := s.try(line)
	if err != nil {
		s.Fatalf("gateway %s: %v, having printed\n%s", line, err, out)
	}
	return out
}

// refuses fails the test unless the command line ends with an error of these words.
func (s *shop) refuses(line string, words ...string) {
	s.Helper()
	out, err := s.try(line)
	for _, want := range words {
		if err == nil || !strings.Contains(err.Error(), want) {
			s.Errorf("gateway %s: %v, want %q; printed\n%s", line, err, want, out)
		}
	}
}

// prints fails the test unless the text has these words in one line.
func (s *shop) prints(text string, words ...string) {
	s.Helper()
	for line := range strings.Lines(text) {
		missing := false
		for _, word := range words {
			missing = missing || !strings.Contains(line, word)
		}
		if !missing {
			return
		}
	}
	s.Errorf("no line with %q in\n%s", words, text)
}

// job stores a job of that owner whose video is there, after the changes.
func (s *shop) job(owner string, changes ...func(*job.Job) error) job.Job {
	s.Helper()
	now := time.Now().Add(-time.Minute)
	j := job.New(now, s.Rules, job.NewID(now), owner)
	video, err := s.Videos.Put(s.Context(), job.File{ID: j.ID, Name: "a.mp4"}, strings.NewReader("video"))
	if err != nil {
		s.Fatal(err)
	}
	for _, change := range append([]func(*job.Job) error{func(j *job.Job) error { return j.Arrived(now, s.Rules, video) }}, changes...) {
		if err := change(&j); err != nil {
			s.Fatal(err)
		}
	}
	if err := s.Ledger.Insert(s.Context(), j); err != nil {
		s.Fatal(err)
	}
	return j
}

// stray stores a chunk as somebody does who dies before the description.
func (s *shop) stray(at time.Time) (id string) {
	s.Helper()
	file, chunk := bson.NewObjectIDFromTimestamp(at), bson.NewObjectIDFromTimestamp(at)
	s.insert("fs.chunks", bson.M{"_id": chunk, "files_id": file, "n": 0, "data": []byte("x")})
	return file.Hex()
}

// insert stores a document beside the videos, past our code.
func (s *shop) insert(collection string, doc bson.M) {
	s.Helper()
	client, err := mongo.Connect(options.Client().ApplyURI(s.mongodb))
	if err != nil {
		s.Fatal(err)
	}
	defer client.Disconnect(context.WithoutCancel(s.Context()))
	if _, err := client.Database("videos").Collection(collection).InsertOne(s.Context(), doc); err != nil {
		s.Fatal(err)
	}
}

func (s *shop) claim(j *job.Job) error {
	return j.Claim(time.Now(), s.Rules, "converter-1/7", job.NewID(time.Now()))
}

func (s *shop) fail(j *job.Job) error {
	return errors.Join(s.claim(j), j.Fail(time.Now(), s.Rules, j.Attempt, job.ReasonNoAudio, "says \x1b[2J"))
}

func (s *shop) now(id string) job.Job {
	s.Helper()
	j, err := s.Ledger.Get(s.Context(), id)
	if err != nil {
		s.Fatal(err)
	}
	return j
}

// rang takes a message from the queue and fails the test unless it is the job's.
func (s *shop) rang(queue string, j job.Job) {
	s.Helper()
	d := s.taken(queue)
	if m, err := job.Decode(d.Body); err != nil || m.Video != j.ID {
		s.Errorf("in %s: %s, %v; want job %s", queue, d.Body, err, j.ID)
	}
}

// taken waits for a message and takes it.
func (s *shop) taken(queue string) (d amqp.Delivery) {
	s.Helper()
	s.eventually("a message in "+queue, func() (there bool) {
		var err error
		if d, there, err = s.rabbit.Get(queue, true); err != nil {
			s.Fatal(err)
		}
		return there
	})
	return d
}

func (s *shop) eventually(what string, ok func() bool) {
	s.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestJobsAreListedShownRetriedAndEnded(t *testing.T) {
	s := open(t)
	queued, failed, running := s.job("ann@gmail.com"), s.job("sid@gmail.com", s.fail), s.job("sid@gmail.com", s.claim)

	all := s.run("jobs list")
	s.prints(all, queued.ID, "queued", "ann@gmail.com", "1m", "0")
	s.prints(all, failed.ID, "failed", "sid@gmail.com", `no_audio: says \x1b[2J`)
	s.prints(all, running.ID, "converting", "converter-1/7")
	if some := s.run("jobs list --owner sid@gmail.com --state failed"); strings.Count(some, "\n") != 2 {
		t.Errorf("one job and the head of the table, but:\n%s", some)
	}
	var listed []string
	next := ""
	for range 3 {
		out := s.run("jobs list --limit 1" + next)
		listed = append(listed, strings.Fields(strings.Split(out, "\n")[1])[0])
		if m := regexp.MustCompile(`--before \S+`).FindString(out); m != "" {
			next = " " + m
		}
	}
	if want := []string{running.ID, failed.ID, queued.ID}; fmt.Sprint(listed) != fmt.Sprint(want) {
		t.Errorf("page by page: %v, want %v", listed, want)
	}

	s.prints(s.run("jobs show "+running.ID), "worker", "converter-1/7")
	s.prints(s.run("jobs show "+running.ID), "lease_until", ", in 1m")
	var shown job.Job
	if err := json.Unmarshal([]byte(s.run("jobs show --json "+running.ID)), &shown); err != nil || shown.Worker != running.Worker {
		t.Errorf("as JSON: %+v, %v", shown, err)
	}

	s.prints(s.run("jobs retry "+failed.ID), "retried "+failed.ID)
	s.rang("video", failed)
	if j := s.now(failed.ID); j.State != job.Queued || j.Rings != 1 {
		t.Errorf("retried, it is %s and was rung for %d times", j.State, j.Rings)
	}

	var out strings.Builder
	err := operate(t.Context(), []string{"jobs", "fail", running.ID, queued.ID, "--because", "the disk is full"}, &out, s.environ)
	if err != nil {
		t.Fatal(err)
	}
	for _, was := range []job.Job{running, queued} {
		s.prints(out.String(), "ended "+was.ID)
		s.rang("mp3", was)
		j := s.now(was.ID)
		if j.State != job.Failed || j.Reason != job.ReasonStopped || j.Detail != "the disk is full" || j.Mail != job.MailPending {
			t.Errorf("ended, it is %s for %s: %s; mail %s", j.State, j.Reason, j.Detail, j.Mail)
		}
		if err := j.Commit(time.Now(), s.Rules, was.Attempt, job.File{}, 0); !errors.Is(err, job.ErrLost) {
			t.Errorf("the attempt that was at it commits: %v", err)
		}
	}

	gone := s.job("sid@gmail.com", s.fail)
	if err := s.Videos.Delete(t.Context(), gone.ID); err != nil {
		t.Fatal(err)
	}
	nobody := job.NewID(time.Now())
	s.refuses("jobs show "+nobody, "there is no job "+nobody)
	s.refuses("jobs retry "+nobody+" "+failed.ID, "there is no job "+nobody, "job "+failed.ID+" is queued: only a failed job")
	s.refuses("jobs retry "+gone.ID, "its video is gone")
	uploading := job.New(time.Now(), s.Rules, job.NewID(time.Now()), "sid@gmail.com") // the video is yet to come
	if err := s.Ledger.Insert(t.Context(), uploading); err != nil {
		t.Fatal(err)
	}
	s.refuses("jobs retry "+uploading.ID, "is uploading: only a failed job")
	s.refuses("jobs fail "+gone.ID+" "+nobody, "is failed: only a job that is queued or converting", "there is no job")
}

func TestWithoutABrokerJobsAreRetriedAllTheSame(t *testing.T) {
	s := open(t)
	failed := s.job("sid@gmail.com", s.fail)
	s.environ[1] = "RABBITMQ_URL=amqp://guest:geheim@127.0.0.1:1/"
	s.prints(s.run("jobs retry "+failed.ID), "retried "+failed.ID, "not rung for now, a gateway's sweeper will")
	if j := s.now(failed.ID); j.State != job.Queued || !j.RingDue(time.Now().Add(time.Hour)) {
		t.Errorf("it is %s, rung for at %v", j.State, j.RingAt)
	}
	s.refuses("dead list", "RABBITMQ_URL", "connection refused")
}

func TestTheEnvironmentIsTheServices(t *testing.T) {
	err := operate(t.Context(), []string{"jobs", "list"}, &strings.Builder{}, []string{"ATTEMPTS=0"})
	for _, want := range []string{"MONGODB_URI", "RABBITMQ_URL", "ATTEMPTS"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want it to name %s", err, want)
		}
	}
	if err != nil && strings.Contains(err.Error(), "AUTH_SVC_ADDRESS") {
		t.Errorf("%v: no sub-command needs that", err)
	}
}

func TestDeadLettersAreListedReplayedAndDiscarded(t *testing.T) {
	s := open(t)
	if out := s.run("dead list"); strings.Count(out, "\n") != 1 { // and the queues are there
		t.Errorf("nobody has died, but:\n%s", out)
	}
	ctx, stop := context.WithCancel(t.Context())
	done, handled := make(chan error, 1), make(chan job.Message, 10)
	gate := make(chan struct{}) // closed once the consumer is well
	go func() {
		done <- s.Broker.Consume(ctx, "video", 1, func(_ context.Context, m job.Message) error {
			select {
			case <-gate:
				handled <- m
				return nil
			default:
				return fmt.Errorf("%w: nobody knows \x1b[31m", job.ErrPoison)
			}
		})
	}()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	m := job.Message{Video: job.NewID(time.Now()), Username: "sid@gmail.com"}
	if err := s.Broker.Publish(t.Context(), "video", m); err != nil {
		t.Fatal(err)
	}
	put := func(queue, body string, headers amqp.Table) {
		t.Helper()
		if err := s.rabbit.PublishWithContext(t.Context(), "", queue, true, false, amqp.Publishing{Body: []byte(body), Headers: headers}); err != nil {
			t.Fatal(err)
		}
	}
	put("video", "garbage \x1b[2J", nil)
	put("mp3.dead", "half a body", amqp.Table{"x-reason": "too long", "x-original-bytes": int64(100_000)})
	var list string
	s.eventually("three dead letters", func() bool {
		list = s.run("dead list")
		return strings.Count(list, "\n") == 4
	})
	s.prints(list, "video", `nobody knows \x1b[31m`, m.Video)
	s.prints(list, "video", "not a JSON object", `garbage \x1b[2J`)
	s.prints(list, "mp3", "100000", "too long", "half a body")
	s.prints(s.run("dead list --limit 1"), "and 2 more")
	ids := map[string]string{}
	for line := range strings.Lines(list) {
		fields := strings.Fields(line)
		for _, word := range []string{m.Video, "garbage", "half"} {
			if strings.Contains(line, word) {
				ids[word] = fields[0]
			}
		}
	}

	close(gate)
	nobody := strings.Repeat("0", 26)
	s.refuses("dead replay "+ids[m.Video]+" "+nobody, "there is no dead letter "+nobody)
	var got job.Message
	s.eventually("the replayed one to be handled", func() bool {
		select {
		case got = <-handled:
			return true
		default:
			return false
		}
	})
	if got.Video != m.Video || got.Foreign {
		t.Errorf("replayed as %+v", got)
	}
	s.refuses("dead replay --all", "only a part of it was kept", ids["half"])
	var again string
	s.eventually("the garbage to die once more", func() bool {
		again = s.run("dead list")
		return strings.Count(again, "\n") == 3 && strings.Contains(again, "garbage")
	})
	if strings.Contains(again, ids["garbage"]) {
		t.Errorf("the garbage has not been replayed:\n%s", again)
	}
	s.prints(s.run("dead discard "+ids["half"]), "discarded "+ids["half"])
	s.prints(s.run("dead discard --all"), "discarded")
	if out := s.run("dead list"); strings.Count(out, "\n") != 1 {
		t.Errorf("all were discarded, but:\n%s", out)
	}
}

func TestGarbageIsNamedAndThenRemoved(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	long := time.Now().Add(-48 * time.Hour)
	put := func(id, content string) string {
		t.Helper()
		if _, err := s.Videos.Put(ctx, job.File{ID: id}, strings.NewReader(content)); err != nil {
			t.Fatal(err)
		}
		return id
	}
	theirs := put(job.NewID(long), "the original's, that no job names")
	deleted := s.job("sid@gmail.com", func(j *job.Job) error { return j.Delete(time.Now()) })
	dead := job.New(long, s.Rules, job.NewID(long), "sid@gmail.com")
	put(dead.ID, "an upload that nobody has committed")
	alive := job.New(time.Now(), s.Rules, job.NewID(time.Now()), "sid@gmail.com")
	put(alive.ID, "an upload under way")
	inParts := func(end time.Time) (j job.Job) { // its chunks are as old as those of a stray
		j = job.New(long, s.Rules, s.stray(long), "sid@gmail.com")
		j.Resumable(long, s.Rules, "a.mp4", job.Standard)
		j.CleanAt = end
		return j
	}
	resumable, abandoned := inParts(time.Now().Add(time.Hour)), inParts(time.Now().Add(-time.Hour))
	for _, j := range []job.Job{dead, alive, resumable, abandoned} {
		if err := s.Ledger.Insert(ctx, j); err != nil {
			t.Fatal(err)
		}
	}
	stray := s.stray(long)
	there := func(id string) bool {
		t.Helper()
		n, _, err := s.Videos.Weigh(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		return n > 0
	}

	for range 2 {
		plan := s.run("gc --dry-run")
		s.prints(plan, deleted.ID, "a deleted job: would remove videos "+deleted.ID, "mp3s -", " 5 bytes")
		s.prints(plan, dead.ID, "an upload that died", "35 bytes")
		s.prints(plan, abandoned.ID, "an upload that died")
		s.prints(plan, "videos: would remove 1 chunks of 1 files")
		s.prints(plan, "mp3s: would remove 0 chunks of 0 files")
	}
	if !there(deleted.ID) || !there(dead.ID) {
		t.Fatal("a dry run has removed something")
	}
	s.prints(s.run("gc --dry-run --older-than 72h"), "videos: would remove 0 chunks of 0 files")
	did := s.run("gc")
	s.prints(did, "videos: removed 1 chunks of 1 files")
	s.prints(did, deleted.ID, "removed", "5 bytes")
	s.prints(did, dead.ID, "removed", "35 bytes")
	for id, want := range map[string]bool{
		theirs: true, alive.ID: true, resumable.ID: true, stray: false, deleted.ID: false, dead.ID: false, abandoned.ID: false,
	} {
		if there(id) != want {
			t.Errorf("%s is there: %v, want %v", id, !want, want)
		}
	}
	s.prints(s.run("gc --older-than 2h"), "nothing that the sweeper would remove")
}

// hook is an output that calls when something is printed for the first time.
type hook struct {
	strings.Builder
	once sync.Once
	call func()
}

func (h *hook) Write(p []byte) (int, error) {
	h.once.Do(h.call)
	return h.Builder.Write(p)
}

// The sweepers go on beside it, and a job that cannot be weighed says nothing about the next.
func TestGarbageIsRemovedBesideASweeper(t *testing.T) {
	s := open(t)
	long := time.Now().Add(-48 * time.Hour)
	var dead []job.Job
	for i := range 10 {
		at := long.Add(time.Duration(i) * time.Second)
		j := job.New(at, s.Rules, job.NewID(at), "sid@gmail.com")
		if err := s.Ledger.Insert(t.Context(), j); err != nil {
			t.Fatal(err)
		}
		dead = append(dead, j)
	}
	for _, j := range []job.Job{dead[0], dead[2], dead[4]} { // no two in a row
		id, err := bson.ObjectIDFromHex(j.ID)
		if err != nil {
			t.Fatal(err)
		}
		s.insert("fs.files", bson.M{"_id": id, "length": "much"})
	}
	out := &hook{call: func() {
		for _, j := range dead[5:9] {
			if _, err := s.Ledger.Update(t.Context(), j.ID, func(j *job.Job) error { return j.Delete(time.Now()) }); err != nil {
				t.Error(err)
			}
		}
		if err := s.Ledger.Remove(t.Context(), dead[9].ID); err != nil {
			t.Error(err)
		}
	}}
	err := operate(t.Context(), []string{"gc"}, out, s.environ)
	for i, j := range dead {
		switch {
		case i == 1, i == 3:
			s.prints(out.String(), j.ID, "removed videos "+j.ID)
		case i >= 5:
			s.prints(out.String(), j.ID, "a sweeper was faster")
		case err == nil || !strings.Contains(err.Error(), j.ID):
			t.Errorf("%v, want it to name %s", err, j.ID)
		}
		if i >= 5 && err != nil && strings.Contains(err.Error(), j.ID) {
			t.Errorf("%v: but a sweeper has seen to %s", err, j.ID)
		}
	}
	s.prints(out.String(), "videos: removed 0 chunks")
}

package faults

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"mp3converter/internal/checker"
	"mp3converter/internal/job"
	"mp3converter/internal/testserver"
	"mp3converter/internal/testsuite"
)

// mailGround has the mail server behind a proxy.
type mailGround struct {
	*ground
	smtp *testserver.SMTP
	way  *testserver.Proxy
}

// mailFaults are the rows of the matrix about the mail server.
func mailFaults(t *testing.T) []fault {
	g := newGround(t, testsuite.NewVhost(t))
	m := &mailGround{g, g.At.SMTP, testserver.NewProxy(t, g.At.SMTP.Addr())}
	return []fault{
		{name: "refused", expected: "conversions go on, one mail each later", tell: g.on(m.refused)},
		{name: "421 and 451, twice each", expected: "one mail, four tries before it", tell: g.on(m.greylisted)},
		{name: "550 for the recipient", expected: "done, mail failed, the MP3 can be had", tell: g.on(m.unknown)},
		{name: "hangs up before it takes the mail", expected: "one mail", tell: g.on(m.dropped(testserver.AtData, 1))},
		{name: "hangs up after it has taken the mail", expected: "the same Message-ID and Date once more", tell: g.on(m.dropped(testserver.AfterData, 2))},
		{name: "a byte a second", expected: "given up in time, nothing else waits, one mail later", tell: g.on(m.tarPit)},
		{name: "down while 20 mails wait", expected: "each once, one try per step of MAIL_RETRY_SECONDS", tell: g.on(m.waiting(20, 10*time.Second))},
		{name: "down while 1000 mails wait", expected: "each once, one try per step of MAIL_RETRY_SECONDS", slow: true, tell: g.on(m.waiting(1000, 90*time.Second))},
	}
}

// through has a notification of the row's own send through the proxy.
func (m *mailGround) through(t *testing.T, settings ...string) {
	t.Helper()
	_, port, _ := strings.Cut(m.way.Addr, ":")
	m.patient(t, append([]string{"SMTP_PORT=" + port}, settings...)...)
}

// patient has a notification of the row's own send, one that no busy machine makes send a mail again.
func (m *mailGround) patient(t *testing.T, settings ...string) {
	t.Helper()
	m.out(t, "notification")
	m.guest("notification", append([]string{longLease}, settings...)...)
}

func (m *mailGround) refused(t *testing.T) string {
	m.through(t)
	m.way.Shut()
	defer m.way.Open()
	uploads := m.takes(t, clips(t, 3)...)
	for _, u := range uploads {
		m.is(t, u, "converted")
	}
	testsuite.Eventually(t, "the mail was tried", func() bool { return m.record(t, uploads[0].Job).MailTries > 1 })
	m.way.Open()
	m.check(t, checker.Allowed{})
	return "3 converted meanwhile, 3 mails"
}

func (m *mailGround) greylisted(t *testing.T) string {
	m.patient(t)
	m.smtp.At(testserver.AtGreeting, testserver.Say(421, "come later"), testserver.Say(421, "come later"))
	m.smtp.At(testserver.AtRcpt, testserver.Say(451, "4.7.1 greylisted"), testserver.Say(451, "4.7.1 greylisted"))
	u := m.takes(t, clip(t, "grey.mp4", 1))[0]
	m.check(t, checker.Allowed{})
	tries := m.record(t, u.Job).MailTries
	if tries != 4 {
		t.Errorf("the ledger counts %d tries that were put off, want 4", tries)
	}
	return fmt.Sprintf("one mail after %d tries", tries)
}

func (m *mailGround) unknown(t *testing.T) string {
	m.smtp.At(testserver.AtRcpt, testserver.Say(550, "5.1.1 no such user"))
	u := m.takes(t, clip(t, "unknown.mp4", 1))[0]
	m.check(t, checker.Allowed{MailRefused: map[string]bool{m.person.Email: true}})
	j := m.record(t, u.Job)
	if j.State != job.Done || j.Mail != job.MailFailed || !strings.Contains(j.MailError, "550") {
		t.Errorf("the job is %s, its mail %s (%s)", j.State, j.Mail, j.MailError)
	}
	m.person.Download(t, j.MP3)
	return "done, mail failed with the server's 550, downloaded"
}

// dropped has the server hang up once at the step, after which it must have so many mails.
func (m *mailGround) dropped(at testserver.Step, want int) func(*testing.T) string {
	return func(t *testing.T) string {
		m.patient(t)
		m.smtp.At(at, testserver.Drop())
		m.takes(t, clip(t, "dropped.mp4", 1))
		m.check(t, checker.Allowed{DuplicateMails: want > 1})
		if got := len(m.letters(t)); got != want || m.again(t) != want-1 {
			t.Errorf("%d mails, %d of them again, want %d of one Message-ID", got, m.again(t), want)
		}
		return fmt.Sprintf("%d mails of one Message-ID", want)
	}
}

func (m *mailGround) tarPit(t *testing.T) string {
	m.through(t, "SMTP_TIMEOUT_SECONDS=4") // of which a mail takes little, or it would be sent, given up and sent again
	m.smtp.Drip(time.Second)
	defer m.smtp.Drip(0)
	u := m.takes(t, clip(t, "tar.mp4", 1))[0]
	m.is(t, u, "converted")
	testsuite.Eventually(t, "the mail was given up twice", func() bool { return m.record(t, u.Job).MailTries > 1 })
	other := m.takes(t, clip(t, "other.mp4", 1))[0]
	m.is(t, other, "converted")
	m.smtp.Drip(0)
	m.check(t, checker.Allowed{})
	return "given up after SMTP_TIMEOUT_SECONDS, 2 mails later"
}

// seldom has those who wait rung for seldom: FerretDB reads all jobs for every sweep, and all that is sent at once would be
// rung for again before its turn.
var seldom = []string{"SWEEP_SECONDS=5", "REMIND_SECONDS=60", "REMIND_MAX_SECONDS=60"}

// waiting has n finished jobs wait for a mail server that is down, for two tries of each. The step between them must be longer
// than two rounds without any: a mailer that does not wait is known by that.
func (m *mailGround) waiting(n int, step time.Duration) func(*testing.T) string {
	return func(t *testing.T) string {
		m.patient(t, append(seldom, fmt.Sprintf("MAIL_RETRY_SECONDS=%v", step.Seconds()))...)
		m.out(t, "gateway")
		m.guest("gateway", seldom...)
		u := m.takes(t, clip(t, "mailed.mp4", 1))[0]
		m.is(t, u, "done")
		m.smtp.Always(testserver.AtGreeting, testserver.Say(421, "down"))
		defer m.smtp.Always(testserver.AtGreeting, testserver.Pass())
		dials, start := m.smtp.Dials(), time.Now()
		m.owe(t, u, n)
		grows(t, "mails tried", n, func() int { return m.count(t, bson.D{{Key: "mail_tries", Value: bson.D{{Key: "$gte", Value: 1}}}}) })
		grows(t, "mails tried twice", n, func() int { return m.count(t, bson.D{{Key: "mail_tries", Value: bson.D{{Key: "$gte", Value: 2}}}}) })
		m.smtp.Always(testserver.AtGreeting, testserver.Pass())
		most := int(time.Since(start)/step) + 1 // of one mail
		grows(t, "jobs done", n+1, func() int { return m.count(t, bson.D{{Key: "state", Value: job.Done}}) })
		tries, busiest := m.tries(t)
		if busiest > most {
			t.Errorf("a mail was tried %d times, there was time for %d", busiest, most)
		}
		dialled := m.smtp.Dials() - dials
		if dialled > tries+n {
			t.Errorf("the mail server was called %d times, the ledger knows of %d", dialled, tries+n)
		}
		m.check(t, checker.Allowed{})
		return fmt.Sprintf("%d mails, each once; %d calls, at most %d in vain for one mail where %d had been allowed", n, dialled, busiest, most)
	}
}

// owe makes n copies of a job that is done, files and all, which owe their mail yet.
func (m *mailGround) owe(t *testing.T, u checker.Upload, n int) {
	t.Helper()
	now, first := time.Now(), m.record(t, u.Job)
	var jobs []job.Job
	videos, mp3s := map[string]string{}, map[string]string{}
	for range n {
		j := first
		j.ID, j.MP3, j.Version = job.NewID(now), job.NewID(now), 1
		j.Key, j.Tried = job.OwnKey(j.ID), []string{j.MP3}
		j.State, j.Mail, j.RingAt, j.Rings = job.Converted, job.MailPending, now, 0
		jobs, videos[j.ID], mp3s[j.MP3] = append(jobs, j), j.ID, j.ID
		u.Job = j.ID
		m.history.Told(u)
	}
	m.copyFile(t, "videos", first.ID, videos)
	m.copyFile(t, "mp3s", first.MP3, mp3s)
	if _, err := m.db.Database("jobs").Collection("jobs").InsertMany(t.Context(), jobs); err != nil {
		t.Fatal(err)
	}
}

// copyFile copies a file of GridFS: to is the job of each copy by its id.
func (m *mailGround) copyFile(t *testing.T, bucket, from string, to map[string]string) {
	t.Helper()
	id := func(hex string) bson.ObjectID {
		id, err := bson.ObjectIDFromHex(hex)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	for collection, field := range map[string]string{"fs.chunks": "files_id", "fs.files": "_id"} {
		c := m.db.Database(bucket).Collection(collection)
		found, err := c.Find(t.Context(), bson.D{{Key: field, Value: id(from)}})
		var docs []bson.M
		if err == nil {
			err = found.All(t.Context(), &docs)
		}
		if err != nil || len(docs) == 0 {
			t.Fatalf("%d documents of file %s in %s, %v", len(docs), from, collection, err)
		}
		var copies []bson.M
		for copied, of := range to {
			for _, d := range docs {
				d = maps.Clone(d)
				delete(d, "_id")
				if d[field] = id(copied); d["metadata"] != nil {
					d["metadata"] = bson.D{{Key: "job", Value: of}}
				}
				copies = append(copies, d)
			}
		}
		if _, err := c.InsertMany(t.Context(), copies); err != nil {
			t.Fatal(err)
		}
	}
}

// grows waits until a number has reached its goal, as long as it takes while it grows.
func grows(t *testing.T, what string, goal int, number func() int) {
	t.Helper()
	for n := number(); n < goal; {
		before := n
		testsuite.Eventually(t, fmt.Sprintf("more than %d of %d %s", n, goal, what), func() bool { n = number(); return n > before })
		time.Sleep(2 * time.Second) // every look is a scan
	}
}

// count is how many jobs of the ledger are so.
func (r *rig) count(t *testing.T, so bson.D) int {
	t.Helper()
	n, err := r.db.Database("jobs").Collection("jobs").CountDocuments(t.Context(), so)
	if err != nil {
		t.Fatal(err)
	}
	return int(n)
}

// tries is how often mails were put off, and how often the one that was oftenest.
func (m *mailGround) tries(t *testing.T) (all, busiest int) {
	t.Helper()
	found, err := m.db.Database("jobs").Collection("jobs").Find(t.Context(), bson.D{})
	var jobs []job.Job
	if err == nil {
		err = found.All(t.Context(), &jobs)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range jobs {
		all, busiest = all+j.MailTries, max(busiest, j.MailTries)
	}
	return all, busiest
}

// record is the job as the ledger has it.
func (r *rig) record(t *testing.T, id string) (j job.Job) {
	t.Helper()
	if err := r.db.Database("jobs").Collection("jobs").FindOne(t.Context(), bson.D{{Key: "_id", Value: id}}).Decode(&j); err != nil {
		t.Fatal(err)
	}
	return j
}

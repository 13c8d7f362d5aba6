package faults

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"mp3converter/internal/checker"
	"mp3converter/internal/testmedia"
	"mp3converter/internal/testserver"
	"mp3converter/internal/testsuite"
	"mp3converter/internal/user"
)

// quick are settings by which a run takes seconds: leases, sweeps and back-offs. Attempts are many, for a machine that is
// busy loses leases that it would keep. No row is about the 503 that a client would get then: uploads keep their leases, and
// the store has as long as it has by default.
var quick = []string{
	"LEASE_SECONDS=2", "UPLOAD_LEASE_SECONDS=8", "RING_SECONDS=0.3", "REMIND_SECONDS=1", "REMIND_MAX_SECONDS=1",
	"RETRY_SECONDS=0.2", "MAIL_RETRY_SECONDS=0.3", "CLEAN_SECONDS=0.5", "ATTEMPTS=10",
}

const (
	// longLease is for rows that count attempts or mails and need no lease to run out: on a busy machine one of two seconds may.
	longLease = "LEASE_SECONDS=20"
	// shortUploads is for rows in which an upload dies with its gateway or its store: nothing may be left once its lease is over.
	shortUploads = "UPLOAD_LEASE_SECONDS=2"
	// shortStore is for rows in which the store is away: whoever asks it gives up soon.
	shortStore = "MONGODB_TIMEOUT_SECONDS=2"
)

// rig is an installation of a test's own: it may break any part of it.
type rig struct {
	*testsuite.Services
	Mongo *testserver.FerretDB
	MySQL *testserver.MariaDB // of the rig's own, where rows break it
	Way   *testserver.Proxy   // to what rows make a bad way to
	Gates []string            // URLs of the gateways, for clients that go to the next if one fails

	t       *testing.T
	db      *mongo.Client
	person  *testsuite.Person
	history checker.History
	checker *checker.Checker
	watched []*watched
	mails   int // of the mail server's, those before this run
	client  *http.Client
}

// newRig makes an installation of which nothing runs yet but the stores, on the broker's virtual host at the given URL.
func newRig(t *testing.T, rabbit string, settings ...string) *rig {
	t.Helper()
	ferret, err := testserver.StartFerretDB()
	if err != nil {
		t.Fatal(err)
	}
	return newRigOn(t, ferret, rabbit, settings...)
}

// newRigOn is newRig over a store that the test has started.
func newRigOn(t *testing.T, ferret *testserver.FerretDB, rabbit string, settings ...string) *rig {
	t.Helper()
	t.Cleanup(ferret.Kill)
	database := testserver.MySQL(t)
	s := testsuite.NewServices(t, testsuite.Servers{
		MySQL: database.Addr, Rabbit: rabbit, MongoDB: ferret.URI(), SMTP: testsuite.MailServer(t),
	})
	s.Users = testsuite.UserTable(t, database.Addr)
	s.Programs, s.Settings = testsuite.WithFailpoints, append(slices.Clone(quick), settings...)
	db, err := mongo.Connect(options.Client().ApplyURI(ferret.URI()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Disconnect(t.Context()) })
	return &rig{
		Services: s, Mongo: ferret, t: t, db: db, checker: checker.New(),
		// No connection is kept: net/http repeats a request by itself when one that it kept is found dead.
		client: &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}},
	}
}

// patience is how long a client waits; to wait in vain is what no fault excuses.
const patience = 2 * time.Minute

// hung fails the test if the error is that a client has waited in vain.
func (r *rig) hung(err error) {
	r.t.Helper()
	if testsuite.IsHung(err) {
		r.t.Errorf("a client was told nothing, and not that it is to go: %v", err)
	}
}

// in is the rig for a part of its test: what is started by it ends with that part.
func (r *rig) in(t *testing.T) *rig {
	return &rig{
		Services: r.In(t), Mongo: r.Mongo, MySQL: r.MySQL, Way: r.Way, Gates: slices.Clone(r.Gates),
		t: t, db: r.db, person: r.person, checker: r.checker, watched: slices.Clone(r.watched), mails: r.mails, client: r.client,
	}
}

// gateway starts a gateway that keeps its address when it is started Again.
func (r *rig) gateway(settings ...string) *testsuite.Process {
	r.t.Helper()
	addr := testsuite.FreeAddr(r.t)
	r.StartGateway(append([]string{"LISTEN=" + addr, "SWEEP_SECONDS=0.2"}, settings...)...)
	r.Gates = append(r.Gates, "http://"+addr)
	return r.Gateway
}

// alone starts a gateway that all requests go to from now on.
func (r *rig) alone(settings ...string) *testsuite.Process {
	r.t.Helper()
	r.Gates = nil
	return r.gateway(settings...)
}

// whole starts all that is missing, and has one job done, so that pools are filled; then it begins to watch.
func (r *rig) whole() *rig {
	r.t.Helper()
	if r.Auth == nil {
		r.StartAuth()
	}
	r.StartConverter()
	r.StartNotification(longLease) // which nobody kills
	if r.Gateway == nil {
		r.gateway()
	}
	r.user()
	r.upload(talk(r.t), "", idle)
	r.check(r.t, checker.Allowed{})
	r.watch(r.t, r.Auth, r.Gateway, r.Converter, r.Notification)
	return r
}

// user makes the one user of the rig, once auth and a gateway run.
func (r *rig) user() {
	r.t.Helper()
	r.URL = r.Gates[0]
	r.person = r.Add(r.t, user.User{Password: testsuite.Hashed(), Admin: true})
	testsuite.Eventually(r.t, "a login", func() bool {
		a, err := testsuite.Request{Base: r.Gates[0], Method: http.MethodPost, Path: "/login", Auth: testsuite.Basic(r.person.Email, testsuite.Password)}.Try()
		r.person.Token = a.Body
		return err == nil && a.Status == http.StatusOK
	})
}

// talk is a video of more than one batch of chunks; uncompressed sound makes it so at no cost.
func talk(tb testing.TB) testsuite.Video {
	tb.Helper()
	return testsuite.VideoOf(tb, testmedia.Clip(tb, testmedia.Spec{Ext: "mov", Audio: "pcm_s16le", Layout: "stereo", Seconds: 6}), "talk.mov")
}

// try uploads once, to the gateway of the given number, and notes what the client was told.
func (r *rig) try(v testsuite.Video, key string, gate int) checker.Upload {
	return r.tryAs(r.person, v, key, gate)
}

func (r *rig) tryAs(owner *testsuite.Person, v testsuite.Video, key string, gate int) checker.Upload {
	body, header := v.Form(r.t)
	if key != "" {
		header.Set("Idempotency-Key", key)
	}
	a, err := testsuite.Request{
		Base: r.Gates[gate%len(r.Gates)], Method: http.MethodPost, Path: "/upload", Auth: "Bearer " + owner.Token, Header: header, Body: body,
	}.TryBy(r.client)
	return r.told(owner, v, key, a, err)
}

// told notes what a client was told.
func (r *rig) told(owner *testsuite.Person, v testsuite.Video, key string, a testsuite.Answer, err error) checker.Upload {
	u := v.Sent(owner.Email, key)
	r.hung(err)
	if err == nil {
		u.Status = a.Status
	}
	if u.Status == http.StatusOK {
		u.Job = testsuite.JobOf(r.t, a)
	}
	r.history.Told(u)
	return u
}

// upload uploads until it is told 200, as a client does that has been told to come again or nothing at all. After each
// failure between is called.
func (r *rig) upload(v testsuite.Video, key string, between func()) checker.Upload {
	r.t.Helper()
	return r.uploadEach(func(int) testsuite.Video { return v }, key, between)
}

// uploadEach is upload with a video for each try, by its number.
func (r *rig) uploadEach(v func(n int) testsuite.Video, key string, between func()) checker.Upload {
	r.t.Helper()
	for n := range 200 {
		u := r.try(v(n), key, n)
		switch u.Status {
		case http.StatusOK:
			return u
		case 0, http.StatusServiceUnavailable:
			between()
			time.Sleep(50 * time.Millisecond)
		default:
			r.t.Fatalf("upload number %d was answered %d", n+1, u.Status)
		}
	}
	r.t.Fatal("no upload was taken")
	return checker.Upload{}
}

var idle = func() {}

// wipe empties the stores between two runs, while nothing is going on.
func (r *rig) wipe() {
	r.t.Helper()
	for database, collections := range map[string][]string{"jobs": {"jobs", "turns"}, "videos": {"fs.files", "fs.chunks"}, "mp3s": {"fs.files", "fs.chunks"}, "hooks": {"hooks", "deliveries", "turns"}} {
		for _, c := range collections {
			if _, err := r.db.Database(database).Collection(c).DeleteMany(r.t.Context(), bson.D{}); err != nil {
				r.t.Fatal(err)
			}
		}
	}
	r.history = checker.History{}
	r.mails = len(r.At.SMTP.Mails())
}

// check waits until nothing is wrong any more, and fails the test if something stays wrong.
func (r *rig) check(t *testing.T, allowed checker.Allowed) {
	t.Helper()
	for _, v := range r.violations(t, 200*time.Millisecond, calm, allowed) {
		t.Errorf("%s: %s", v.Invariant, v.What)
	}
}

func (r *rig) letters(t testing.TB) []checker.Mail {
	var mails []checker.Mail
	for _, received := range r.At.SMTP.Mails()[r.mails:] {
		m := testserver.ReadMail(t, received)
		date, err := m.Header.Date()
		if err != nil {
			t.Errorf("a mail's date: %v", err)
		}
		mails = append(mails, checker.Mail{To: received.To[0], Subject: m.Subject, MessageID: m.Header.Get("Message-ID"), Body: m.Body, Date: date})
	}
	return mails
}

// again are the mails that came once more, each under the Message-ID that it had before.
func (r *rig) again(t testing.TB) (n int) {
	t.Helper()
	seen := map[string]bool{}
	for _, m := range r.letters(t) {
		if seen[m.MessageID] {
			n++
		}
		seen[m.MessageID] = true
	}
	return n
}

// number is for file names and keys.
func number(prefix string, n int) string { return fmt.Sprint(prefix, strconv.Itoa(n)) }

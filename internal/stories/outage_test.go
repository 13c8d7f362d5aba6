package stories

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"mp3converter/internal/testsuite"

	"mp3converter/internal/testmedia"
	"mp3converter/internal/testserver"
	"mp3converter/internal/user"
)

// day is the one installation of TestOutages, and its user.
type day struct {
	*testsuite.Services
	testsuite.Doors
	p *testsuite.Person
}

// TestOutages is a day in the life of an installation. Each hour leaves everything running for the next.
func TestOutages(t *testing.T) {
	t.Parallel()
	s, d := testsuite.BehindDoors(t)
	p := s.Add(t, user.User{Password: testsuite.Hashed(), Admin: true})
	p.Token = sign(testsuite.JWTSecret, hs256, claims(p.Email, true, time.Hour))
	for _, hour := range []struct {
		name string
		tell func(*testing.T, *day)
	}{
		{"the services start before anything they need", nothingIsThere},
		{"the store comes, the broker not yet: uploads are taken", theStoreComes},
		{"the rest comes: what was taken is converted", theRestComes},
		{"the user table goes: who is logged in works on", theUserTableGoes},
		{"auth goes: nobody is told that their token is bad", authGoes},
		{"the store goes: nothing is promised", theStoreGoes},
		{"the broker goes: uploads are taken, and converted when it is back", theBrokerGoes},
		{"a queue is deleted: it is made again, and nothing is lost", theQueueGoes},
		{"a mail server with another's certificate gets no mail", theWrongMailServer},
		{"the queues carry the original's messages", theMessages},
		{"a converter is told to stop: another goes on, and nothing is counted", theConverterStops},
	} {
		if !t.Run(hour.name, func(t *testing.T) { hour.tell(t, &day{s, d, p}) }) {
			return // the others would only wait
		}
	}
}

func nothingIsThere(t *testing.T, d *day) {
	d.StartAll()
	all := []*testsuite.Process{d.Auth, d.Gateway, d.Converter, d.Notification}
	var probes []testsuite.Request
	for _, p := range all {
		ops := "http://" + p.Serving(t, "ops")
		testsuite.Send(t, testsuite.Request{Base: ops, Path: "/livez"}).Is(t, 200, "alive")
		probes = append(probes, testsuite.Request{Base: ops, Path: "/readyz"})
	}
	for i, ready := range testsuite.AtOnce(t, probes...) {
		missing := []string{"mongodb", "rabbitmq"}
		if all[i] == d.Auth {
			missing = []string{"mysql"}
		}
		for _, name := range missing {
			if ready.Status != 503 || !strings.Contains(ready.Body, "\n"+name+": ") {
				t.Errorf("/readyz of %s = %d %q, want it to name %s", all[i].Name, ready.Status, ready.Body, name)
			}
		}
	}
	testsuite.AreAway(t, d.login(d.AuthURL), d.login(d.URL), d.upload(t))
}

func theStoreComes(t *testing.T, d *day) {
	d.MongoDB.Open(t)
	id := d.uploaded(t)
	if j := d.p.Job(t, id); j.State != "queued" {
		t.Errorf("the job without a broker: %+v", j)
	}
	testsuite.Eventually(t, "the gateway is ready, and names the broker that it copes without", func() bool {
		ready := d.Gateway.Ready(t)
		return ready.Status == 200 && strings.HasPrefix(ready.Body, "ready, coping without:\nrabbitmq: ")
	})
}

func theRestComes(t *testing.T, d *day) {
	d.Rabbit.Open(t)
	d.MySQL.Open(t)
	d.AllReady(t)
	jobs := d.p.List(t, "").Jobs
	if len(jobs) != 1 {
		t.Fatalf("the jobs of the first hours: %+v", jobs)
	}
	d.ends(t, jobs[0].ID)
	d.p.Login(t)
}

func theUserTableGoes(t *testing.T, d *day) {
	d.MySQL.Shut()
	testsuite.AreAway(t, d.login(d.AuthURL), d.login(d.URL))
	d.ends(t, d.uploaded(t))
	d.MySQL.Open(t)
	testsuite.Eventually(t, "login works again", func() bool { return testsuite.Send(t, d.login(d.URL)).Status == 200 })
}

func authGoes(t *testing.T, d *day) {
	d.Auth.Stop(t)
	testsuite.AreAway(t, d.login(d.URL), d.upload(t), d.p.With(testsuite.Request{Path: "/download?fid=" + unknown}), testsuite.Request{Base: d.URL, Path: "/jobs", Auth: "Bearer bad"})
	d.StartAuth()
	d.ends(t, d.uploaded(t))
}

func theStoreGoes(t *testing.T, d *day) {
	fid := testsuite.OrEmpty(d.ends(t, d.uploaded(t)).MP3)
	before := len(d.p.List(t, "").Jobs)
	d.MongoDB.Shut()
	testsuite.AreAway(t, d.upload(t), d.p.With(testsuite.Request{Path: "/download?fid=" + fid}), d.p.With(testsuite.Request{Path: "/jobs"}))
	d.MongoDB.Open(t)
	id := d.uploaded(t)
	if jobs := d.p.List(t, "").Jobs; len(jobs) != before+1 || jobs[0].ID != id {
		t.Errorf("%d jobs and a refused upload have become %d", before, len(jobs)-1)
	}
	d.ends(t, id)
}

func theBrokerGoes(t *testing.T, d *day) {
	d.Rabbit.Shut()
	d.uploaded(t)
	id := d.uploaded(t)
	if j := d.p.Job(t, id); j.State != "queued" {
		t.Errorf("the job without a broker: %+v", j)
	}
	d.Rabbit.Open(t)
	for _, j := range d.p.List(t, "").Jobs {
		d.ends(t, j.ID)
	}
}

func theQueueGoes(t *testing.T, d *day) {
	d.Ctl(t, "delete_queue", "video")
	d.ends(t, d.uploaded(t))
}

func theWrongMailServer(t *testing.T, d *day) {
	d.Notification.Stop(t)
	other := testserver.StartSMTP(t, testserver.SMTPOptions{User: testsuite.Sender, Password: testsuite.MailPassword, CertFor: "mail.example.com"})
	d.StartNotification(testsuite.MailSettings(other)...)
	id := d.uploaded(t)
	testsuite.Eventually(t, "the mail was tried twice", func() bool { return other.Dials() >= 2 })
	if j := d.p.Job(t, id); j.State != "converted" || testsuite.OrEmpty(j.Mail) != "pending" || len(other.Mails()) != 0 {
		t.Errorf("the job: %+v; the wrong server has %d mails", j, len(other.Mails()))
	}
	d.Notification.Stop(t)
	d.StartNotification()
	d.ends(t, id)
}

// theMessages looks into the queues while nobody takes from them.
func theMessages(t *testing.T, d *day) {
	d.Converter.Stop(t)
	ours := d.uploaded(t)
	taken(t, d.Broker, "video").onTheWire(t, `{"video_fid": "`+ours+`", "mp3_fid": null, "username": "`+d.p.Email+`"}`)

	theirs := original(t, "put", d.At.MongoDB, "videos", testsuite.Clip(t))
	original(t, "raw", d.Broker, "video", `{"video_fid": "`+theirs+`", "mp3_fid": null, "username": "`+d.p.Email+`", "trace": {"ids": [1, 2]}}`)
	d.Notification.Stop(t)
	d.StartConverter()
	testsuite.Eventually(t, "the message has become a job", func() bool { return d.p.Get(t, "/jobs/"+theirs).Status == 200 })
	for id, extra := range map[string]string{ours: "", theirs: `, "trace": {"ids": [1, 2]}`} {
		fid := testsuite.OrEmpty(d.p.Reaches(t, id, "converted").MP3)
		want := `{"video_fid": "` + id + `", "mp3_fid": "` + fid + `", "username": "` + d.p.Email + `"` + extra + `}`
		testsuite.Awaited(t, "the message of "+id, func() (message, bool) {
			m := taken(t, d.Broker, "mp3")
			return m, strings.Contains(m.Body, id)
		}).onTheWire(t, want)
	}
	d.StartNotification() // its messages are gone, the ledger remembers
	d.ends(t, ours)
	d.ends(t, theirs)
}

func theConverterStops(t *testing.T, d *day) {
	d.Converter.Stop(t)
	d.StartConverter("FFMPEG="+testsuite.SlowFFmpeg(t), "SANDBOX=off", "GRACE_SECONDS=0.2")
	first := d.Converter
	id := d.p.Upload(t, testmedia.Clip(t, testmedia.Spec{Seconds: 30}), "long.mp4")
	d.p.IsConverting(t, id)
	d.StartConverter()
	testsuite.Eventually(t, "the second converter is ready", func() bool { return d.Converter.Ready(t).Status == 200 })
	first.Stop(t)
	j := d.ends(t, id)
	if j.Attempts != 1 {
		t.Errorf("the stop was counted: %d attempts", j.Attempts)
	}
	testsuite.Lasts(t, d.p.Download(t, testsuite.OrEmpty(j.MP3)), 30*time.Second)
	testsuite.Eventually(t, "there is one MP3 of the job", func() bool {
		return original(t, "count", d.At.MongoDB, "mp3s", id) == "1"
	})
}

func (d *day) login(base string) testsuite.Request {
	return testsuite.Request{Base: base, Method: http.MethodPost, Path: "/login", Auth: testsuite.Basic(d.p.Email, d.p.Password)}
}

func (d *day) upload(t *testing.T) testsuite.Request {
	t.Helper()
	return d.p.Posting(t, "/upload", nil, testsuite.FilePart("file", "vid_1.mp4", []byte(testsuite.Read(t, testsuite.Clip(t)))))
}

// uploaded uploads as soon as the gateway takes it, and returns the job's id.
func (d *day) uploaded(t *testing.T) string {
	t.Helper()
	return testsuite.JobOf(t, testsuite.Awaited(t, "an upload is taken", func() (testsuite.Answer, bool) {
		a := testsuite.Send(t, d.upload(t))
		if a.Status != 503 {
			a.Is(t, 200, "success!")
		}
		return a, a.Status == 200
	}))
}

// ends waits until the job is done, with one mail.
func (d *day) ends(t *testing.T, id string) testsuite.JobView {
	t.Helper()
	j := d.p.Reaches(t, id, "done")
	mails := slices.DeleteFunc(d.Mails(t, d.p.Email), func(m testsuite.Letter) bool { return !strings.Contains(m.Body, testsuite.OrEmpty(j.MP3)) })
	if len(mails) != 1 {
		t.Errorf("%d mails about job %s, want 1: %+v", len(mails), id, mails)
	}
	return j
}

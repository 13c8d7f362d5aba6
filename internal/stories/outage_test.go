package stories

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mp3converter/internal/testmedia"
	"mp3converter/internal/testserver"
	"mp3converter/internal/user"
)

// doors are between the services and the servers of one suite.
type doors struct{ mysql, rabbit, mongodb *door }

// behindDoors prepares services whose servers are out of reach.
func behindDoors(t *testing.T) (*services, doors) {
	t.Helper()
	ferret, err := testserver.StartFerretDB() // of its own: the services of the other suite would take the jobs
	if err != nil {
		t.Fatal(err)
	}
	database := testserver.MySQL(t)
	broker, err := url.Parse(newVhost(t))
	if err != nil {
		t.Fatal(err)
	}
	d := doors{mysql: newDoor(t, database.Addr), rabbit: newDoor(t, broker.Host), mongodb: newDoor(t, ferret.Addr)}
	direct := broker.String()
	broker.Host = d.rabbit.Addr
	s := newServices(t, servers{
		mysql: d.mysql.Addr, rabbit: broker.String(), mongodb: "mongodb://" + d.mongodb.Addr + "/?directConnection=true", smtp: mailServer(t),
	})
	s.broker = direct
	s.Users = userTable(t, database.Addr)
	return s, d
}

// day is the one installation of TestOutages, and its user.
type day struct {
	*services
	doors
	p *person
}

// TestOutages is a day in the life of an installation. Each hour leaves everything running for the next.
func TestOutages(t *testing.T) {
	t.Parallel()
	s, d := behindDoors(t)
	p := s.add(t, user.User{Password: hashed(), Admin: true})
	p.token = sign(jwtSecret, hs256, claims(p.email, true, time.Hour))
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
	d.startAll()
	all := []*process{d.auth, d.gateway, d.converter, d.notification}
	var probes []request
	for _, p := range all {
		ops := "http://" + p.serving(t, "ops")
		send(t, request{base: ops, path: "/livez"}).is(t, 200, "alive")
		probes = append(probes, request{base: ops, path: "/readyz"})
	}
	for i, ready := range atOnce(t, probes...) {
		missing := []string{"mongodb", "rabbitmq"}
		if all[i] == d.auth {
			missing = []string{"mysql"}
		}
		for _, name := range missing {
			if ready.status != 503 || !strings.Contains(ready.body, "\n"+name+": ") {
				t.Errorf("/readyz of %s = %d %q, want it to name %s", all[i].name, ready.status, ready.body, name)
			}
		}
	}
	areAway(t, d.login(d.Auth), d.login(d.URL), d.upload(t))
}

func theStoreComes(t *testing.T, d *day) {
	d.mongodb.open(t)
	id := d.uploaded(t)
	if j := d.p.job(t, id); j.State != "queued" {
		t.Errorf("the job without a broker: %+v", j)
	}
	eventually(t, "the gateway is ready, and names the broker that it copes without", func() bool {
		ready := d.gateway.ready(t)
		return ready.status == 200 && strings.HasPrefix(ready.body, "ready, coping without:\nrabbitmq: ")
	})
}

func theRestComes(t *testing.T, d *day) {
	d.rabbit.open(t)
	d.mysql.open(t)
	d.allReady(t)
	jobs := d.p.list(t, "").Jobs
	if len(jobs) != 1 {
		t.Fatalf("the jobs of the first hours: %+v", jobs)
	}
	d.ends(t, jobs[0].ID)
	d.p.login(t)
}

func theUserTableGoes(t *testing.T, d *day) {
	d.mysql.shut()
	areAway(t, d.login(d.Auth), d.login(d.URL))
	d.ends(t, d.uploaded(t))
	d.mysql.open(t)
	eventually(t, "login works again", func() bool { return send(t, d.login(d.URL)).status == 200 })
}

func authGoes(t *testing.T, d *day) {
	d.auth.stop(t)
	areAway(t, d.login(d.URL), d.upload(t), d.p.with(request{path: "/download?fid=" + unknown}), request{base: d.URL, path: "/jobs", auth: "Bearer bad"})
	d.startAuth()
	d.ends(t, d.uploaded(t))
}

func theStoreGoes(t *testing.T, d *day) {
	fid := orEmpty(d.ends(t, d.uploaded(t)).MP3)
	before := len(d.p.list(t, "").Jobs)
	d.mongodb.shut()
	areAway(t, d.upload(t), d.p.with(request{path: "/download?fid=" + fid}), d.p.with(request{path: "/jobs"}))
	d.mongodb.open(t)
	id := d.uploaded(t)
	if jobs := d.p.list(t, "").Jobs; len(jobs) != before+1 || jobs[0].ID != id {
		t.Errorf("%d jobs and a refused upload have become %d", before, len(jobs)-1)
	}
	d.ends(t, id)
}

func theBrokerGoes(t *testing.T, d *day) {
	d.rabbit.shut()
	d.uploaded(t)
	id := d.uploaded(t)
	if j := d.p.job(t, id); j.State != "queued" {
		t.Errorf("the job without a broker: %+v", j)
	}
	d.rabbit.open(t)
	for _, j := range d.p.list(t, "").Jobs {
		d.ends(t, j.ID)
	}
}

func theQueueGoes(t *testing.T, d *day) {
	d.ctl(t, "delete_queue", "video")
	d.ends(t, d.uploaded(t))
}

func theWrongMailServer(t *testing.T, d *day) {
	d.notification.stop(t)
	other := testserver.StartSMTP(t, testserver.SMTPOptions{User: sender, Password: mailPassword, CertFor: "mail.example.com"})
	d.startNotificationWith(other)
	id := d.uploaded(t)
	eventually(t, "the mail was tried twice", func() bool { return other.Dials() >= 2 })
	if j := d.p.job(t, id); j.State != "converted" || orEmpty(j.Mail) != "pending" || len(other.Mails()) != 0 {
		t.Errorf("the job: %+v; the wrong server has %d mails", j, len(other.Mails()))
	}
	d.notification.stop(t)
	d.startNotification()
	d.ends(t, id)
}

// theMessages looks into the queues while nobody takes from them.
func theMessages(t *testing.T, d *day) {
	d.converter.stop(t)
	ours := d.uploaded(t)
	taken(t, d.broker, "video").onTheWire(t, `{"video_fid": "`+ours+`", "mp3_fid": null, "username": "`+d.p.email+`"}`)

	theirs := original(t, "put", d.at.mongodb, "videos", clip(t))
	original(t, "raw", d.broker, "video", `{"video_fid": "`+theirs+`", "mp3_fid": null, "username": "`+d.p.email+`", "trace": {"ids": [1, 2]}}`)
	d.notification.stop(t)
	d.startConverter()
	eventually(t, "the message has become a job", func() bool { return d.p.get(t, "/jobs/"+theirs).status == 200 })
	for id, extra := range map[string]string{ours: "", theirs: `, "trace": {"ids": [1, 2]}`} {
		fid := orEmpty(d.p.reaches(t, id, "converted").MP3)
		want := `{"video_fid": "` + id + `", "mp3_fid": "` + fid + `", "username": "` + d.p.email + `"` + extra + `}`
		awaited(t, "the message of "+id, func() (message, bool) {
			m := taken(t, d.broker, "mp3")
			return m, strings.Contains(m.Body, id)
		}).onTheWire(t, want)
	}
	d.startNotification() // its messages are gone, the ledger remembers
	d.ends(t, ours)
	d.ends(t, theirs)
}

func theConverterStops(t *testing.T, d *day) {
	d.converter.stop(t)
	d.startConverter("FFMPEG="+slowFFmpeg(t), "GRACE_SECONDS=0.2")
	first := d.converter
	id := d.p.upload(t, testmedia.Clip(t, testmedia.Spec{Seconds: 30}), "long.mp4")
	d.p.isConverting(t, id)
	d.startConverter()
	eventually(t, "the second converter is ready", func() bool { return d.converter.ready(t).status == 200 })
	first.stop(t)
	j := d.ends(t, id)
	if j.Attempts != 1 {
		t.Errorf("the stop was counted: %d attempts", j.Attempts)
	}
	lasts(t, d.p.download(t, orEmpty(j.MP3)), 30*time.Second)
	eventually(t, "there is one MP3 of the job", func() bool {
		return original(t, "count", d.at.mongodb, "mp3s", id) == "1"
	})
}

// slowFFmpeg returns a program that converts no faster than the sound plays.
func slowFFmpeg(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), "ffmpeg")
	if err := os.WriteFile(script, fmt.Appendf(nil, "#!/bin/sh\nexec %s -re \"$@\"\n", path), 0o700); err != nil {
		t.Fatal(err)
	}
	return script
}

// areAway fails the test unless each request is answered with 503, and when to come again.
func areAway(t *testing.T, requests ...request) {
	t.Helper()
	for _, a := range atOnce(t, requests...) {
		a.is(t, 503, "service unavailable, try again later")
		if a.header.Get("Retry-After") == "" {
			t.Errorf("no Retry-After: %v", a.header)
		}
	}
}

func (d *day) login(base string) request {
	return request{base: base, method: http.MethodPost, path: "/login", auth: basic(d.p.email, d.p.password)}
}

func (d *day) upload(t *testing.T) request {
	t.Helper()
	return d.p.posting(t, "/upload", nil, part{"file", "vid_1.mp4", []byte(read(t, clip(t)))})
}

// uploaded uploads as soon as the gateway takes it, and returns the job's id.
func (d *day) uploaded(t *testing.T) string {
	t.Helper()
	return jobOf(t, awaited(t, "an upload is taken", func() (answer, bool) {
		a := send(t, d.upload(t))
		if a.status != 503 {
			a.is(t, 200, "success!")
		}
		return a, a.status == 200
	}))
}

// ends waits until the job is done, with one mail.
func (d *day) ends(t *testing.T, id string) jobView {
	t.Helper()
	j := d.p.reaches(t, id, "done")
	mails := slices.DeleteFunc(d.Mails(t, d.p.email), func(m letter) bool { return !strings.Contains(m.Body, orEmpty(j.MP3)) })
	if len(mails) != 1 {
		t.Errorf("%d mails about job %s, want 1: %+v", len(mails), id, mails)
	}
	return j
}

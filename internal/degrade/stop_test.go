package degrade

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"mp3converter/internal/testserver"
	"mp3converter/internal/testsuite"
)

// lease is longer than any test waits.
const lease = 600 * time.Second

// patient are settings by which nothing is done again in the time of a test but what somebody has given back.
var patient = []string{fmt.Sprintf("LEASE_SECONDS=%v", lease.Seconds()), "RING_SECONDS=600", "REMIND_SECONDS=600", "REMIND_MAX_SECONDS=600", "MAIL_RETRY_SECONDS=600"}

// TestStop tells a program to stop while it is at work.
func TestStop(t *testing.T) {
	t.Parallel()
	i := newInstallation(t, patient...)
	i.StartAll()
	i.AllReady(t)
	p := i.Someone(t)
	for _, tt := range []struct {
		name string
		tell func(*testing.T, *installation, *testsuite.Person)
	}{
		{"a conversion that outlives the grace goes on elsewhere at once, and is not counted", theConversionIsGivenBack},
		{"a conversion that the grace is long enough for is finished", theConversionIsFinished},
		{"a mail that the server drags on is sent by another", theMailIsGivenBack},
		{"an upload that outlives the grace is told so, and leaves nothing", theUploadIsCut},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.tell(t, i, p) })
	}
}

func theConversionIsGivenBack(t *testing.T, i *installation, p *testsuite.Person) {
	i.Converter.Stop(t)
	held := &world{ffmpeg: holdableFFmpeg(t)}
	i.StartConverter("FFMPEG="+held.ffmpeg, "SANDBOX=off", "GRACE_SECONDS=0.2")
	first := i.Converter
	ready(t, first)
	held.hold(t)
	defer held.release()
	id := p.Upload(t, testsuite.Clip(t), "vid_1.mp4")
	p.Reaches(t, id, "converting")
	i.StartConverter()
	ready(t, i.Converter)
	claimed, told := i.record(t, id), time.Now()
	first.Stop(t)
	p.Reaches(t, id, "done")
	j := i.record(t, id)
	if j.Attempt != 2 || j.Excused != 1 {
		t.Errorf("%d attempts, %d of them excused, want 2 and 1", j.Attempt, j.Excused)
	}
	// Nobody can have begun so early but who was given the job: its lease and all bells are minutes away.
	taken := j.Started.Sub(told)
	if taken < 0 || !j.Started.Before(claimed.LeaseUntil) {
		t.Errorf("another converter began %v after SIGTERM, at %v; the lease would have ended at %v", taken, j.Started, claimed.LeaseUntil)
	}
	t.Logf("another converter began %.2f s after SIGTERM, %.0f s before the lease's end", taken.Seconds(), claimed.LeaseUntil.Sub(j.Started).Seconds())
}

func theConversionIsFinished(t *testing.T, i *installation, p *testsuite.Person) {
	i.Converter.Stop(t)
	held := &world{ffmpeg: holdableFFmpeg(t)}
	i.StartConverter("FFMPEG="+held.ffmpeg, "SANDBOX=off", "GRACE_SECONDS=600")
	first := i.Converter
	ready(t, first)
	held.hold(t)
	defer held.release()
	id := p.Upload(t, testsuite.Clip(t), "vid_1.mp4")
	p.Reaches(t, id, "converting")
	first.Tell()
	testsuite.Eventually(t, "the converter is stopping", func() bool { return first.Ready(t).Body == "stopping" })
	later := p.Upload(t, testsuite.Clip(t), "vid_2.mp4")
	held.release()
	first.Ends(t)
	if j := i.record(t, id); j.MP3 == "" || j.Attempt != 1 || j.Excused != 0 {
		t.Errorf("the converter has ended, and its job is %s after %d attempts, %d excused", j.State, j.Attempt, j.Excused)
	}
	if j := i.record(t, later); j.Attempt != 0 {
		t.Errorf("a converter that was told to stop has taken one more job: %+v", j)
	}
	i.StartConverter()
	p.Reaches(t, id, "done")
	p.Reaches(t, later, "done")
}

func theMailIsGivenBack(t *testing.T, i *installation, p *testsuite.Person) {
	i.Notification.Stop(t)
	smtp := i.At.SMTP
	smtp.At(testserver.AtData, testserver.Stall())
	i.StartNotification("GRACE_SECONDS=0.2")
	first, came := i.Notification, smtp.Came(testserver.AtData)
	id := p.Upload(t, testsuite.Clip(t), "vid_1.mp4")
	testsuite.Eventually(t, "the mail is on its way", func() bool { return smtp.Came(testserver.AtData) > came })
	i.StartNotification()
	ready(t, i.Notification)
	first.Stop(t)
	p.Reaches(t, id, "done")
	if j := i.record(t, id); j.MailAttempt != 2 || j.MailTries != 0 {
		t.Errorf("the mail was claimed %d times and put off %d times, want 2 and 0", j.MailAttempt, j.MailTries)
	}
	var ids []string
	for _, m := range i.Mails(t, p.Email) {
		if strings.HasPrefix(m.ID, id) {
			ids = append(ids, m.ID)
		}
	}
	_, domain, _ := strings.Cut(testsuite.Sender, "@")
	if len(ids) != 1 || ids[0] != id+".done@"+domain {
		t.Errorf("the mails about job %s are %q", id, ids)
	}
}

// theUploadIsCut has a client that sends a part and then nothing, with patience on both sides.
func theUploadIsCut(t *testing.T, i *installation, p *testsuite.Person) {
	i.StartGateway("GRACE_SECONDS=0.2", "STALL_SECONDS=600")
	jobs, videos := i.documents(t, "jobs", "jobs"), i.documents(t, "videos", "fs.chunks")
	form, header := testsuite.Form(t, testsuite.FilePart("file", "vid_1.mp4", make([]byte, 4<<20)))
	body, client := io.Pipe()
	defer client.Close()
	request := p.With(testsuite.Request{Method: http.MethodPost, Path: "/upload", Header: header, Body: body})
	type outcome struct {
		testsuite.Answer
		err error
	}
	ended := make(chan outcome, 1)
	go func() {
		a, err := request.Try()
		ended <- outcome{a, err}
	}()
	if _, err := io.CopyN(client, form, 2<<20); err != nil {
		t.Fatal(err)
	}
	testsuite.Eventually(t, "some of it is stored", func() bool { return i.documents(t, "videos", "fs.chunks") > videos })
	i.Gateway.Stop(t)
	switch got := <-ended; {
	case got.err != nil:
		t.Errorf("no answer came: %v", got.err)
	default:
		got.Is(t, http.StatusServiceUnavailable, "service unavailable, try again later")
		if got.Header.Get("Retry-After") == "" {
			t.Errorf("no Retry-After: %v", got.Header)
		}
	}
	if now := i.documents(t, "jobs", "jobs"); now != jobs {
		t.Errorf("%d jobs have become %d", jobs, now)
	}
	if now := i.documents(t, "videos", "fs.chunks"); now != videos {
		t.Errorf("%d chunks have become %d", videos, now)
	}
	i.StartGateway()
	if a := p.Get(t, "/jobs"); a.Status != http.StatusOK {
		t.Errorf("GET /jobs = %d %q", a.Status, a.Body)
	}
}

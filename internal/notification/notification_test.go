package notification_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"mp3converter/internal/job"
	"mp3converter/internal/notification"
	"mp3converter/internal/testserver"
)

func TestTheContractsMail(t *testing.T) {
	w := newWorld(t)
	j := w.converted(t)
	wantState(t, w.handle(t, j), job.Done, job.MailSent)

	got := w.wantMails(t, 1)[0]
	address, until := linkIn(t, got.Body)
	want := "mp3 file_id: " + j.MP3 + ` is now ready!

File:    vid_1.mp4
Length:  2.0 s
Size:    1 kB

Download it without logging in, until ` + until + `:
` + address + `

Download it, logged in:
` + base + "/download?fid=" + j.MP3 + `

The MP3 is kept until ` + date(j.MP3Until) + ".\n"
	if got.Body != want {
		t.Errorf("body %q, want %q", got.Body, want)
	}
	for header, want := range map[string]string{
		"Subject": "MP3 Download", "From": "<" + from + ">", "To": "<" + owner + ">",
		"Message-ID": "<" + j.ID + ".done@mp3converter.com>",
		"Date":       j.Ended.Format(time.RFC1123Z),
	} {
		if got := got.Header.Get(header); got != want {
			t.Errorf("%s: %s, want %s", header, got, want)
		}
	}
	raw := w.server.Mails()[0]
	if raw.From != from || len(raw.To) != 1 || raw.To[0] != owner || !raw.TLS {
		t.Errorf("envelope from %s to %v, TLS %v", raw.From, raw.To, raw.TLS)
	}
}

func date(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 UTC") }

func TestWithoutAnAddressOfTheGatewayTheMailNamesNone(t *testing.T) {
	w := newWorld(t, func(c *notification.Config) { c.BaseURL = "" })
	j := w.converted(t)
	w.handle(t, j)
	got := w.wantMails(t, 1)[0]
	if want := "mp3 file_id: " + j.MP3 + " is now ready!\n\nFile:    vid_1.mp4\nLength:  2.0 s\nSize:    1 kB\n\nThe MP3 is kept until " + date(j.MP3Until) + ".\n"; got.Body != want {
		t.Errorf("body %q, want %q", got.Body, want)
	}
	if strings.Contains(got.HTML, "href") {
		t.Errorf("the HTML has an address:\n%s", got.HTML)
	}
}

func TestAFailureIsToldWithItsReason(t *testing.T) {
	w := newWorld(t)
	j := w.failed(t, "holiday.mp4", job.ReasonTruncated, "8.7 of 10.0 s")
	wantState(t, w.handle(t, j), job.Failed, job.MailSent)

	got := w.wantMails(t, 1)[0]
	want := `Your file "holiday.mp4" could not be converted to an MP3.

Reason: the file is damaged: only a part of its sound can be read: 8.7 of 10.0 s.
What you can do: Check that it plays to its end on your side, and upload it again.

The job, in your browser: ` + base + "/?job=" + j.ID + `
For programs: ` + base + "/jobs/" + j.ID + `
To convert it anew, until ` + date(j.VideoUntil) + `: POST ` + base + "/jobs/" + j.ID + "/retry\n"
	if got.Body != want {
		t.Errorf("body:\n%s\nwant:\n%s", got.Body, want)
	}
	if got.Subject != "MP3 conversion failed" {
		t.Errorf("subject %q", got.Subject)
	}
	if id, want := got.Header.Get("Message-ID"), "<"+j.ID+".failed.1@mp3converter.com>"; id != want {
		t.Errorf("Message-ID %s, want %s", id, want)
	}
}

func TestEveryReasonIsToldWithAnAdvice(t *testing.T) {
	w := newWorld(t)
	for _, reason := range []job.Reason{
		job.ReasonEmpty, job.ReasonUnsupported, job.ReasonUnreadable, job.ReasonNoAudio, job.ReasonTruncated, job.ReasonTooLong,
		job.ReasonTooLarge, job.ReasonTooSlow, job.ReasonNoVideo, job.ReasonCrashed, job.ReasonStopped, "unheard_of",
	} {
		w.handle(t, w.failed(t, "a.mp4", reason, ""))
		mails := w.server.Mails()
		got := testserver.ReadMail(t, mails[len(mails)-1])
		if !strings.Contains(got.Body, "Reason: "+reason.Text()+".\n") || !strings.Contains(got.Body, "What you can do: ") {
			t.Errorf("%s: body %q", reason, got.Body)
		}
		if page := unescaped(got.HTML); !strings.Contains(page, sentence(reason.Text())) || !strings.Contains(page, adviceOf(got.Body)) {
			t.Errorf("%s: the HTML says something else than the text:\n%s\n%s", reason, got.Body, got.HTML)
		}
		if retry := strings.Contains(got.Body, "/retry"); retry == (reason == job.ReasonNoVideo) || retry != strings.Contains(got.HTML, "/retry") {
			t.Errorf("%s: names an address to retry at: %v\n%s", reason, retry, got.Body)
		}
	}
}

func TestAJobThatFailsAgainIsAnotherMail(t *testing.T) {
	w := newWorld(t)
	j := w.failed(t, "a.mp4", job.ReasonCrashed, "")
	w.handle(t, j)
	_, err := w.ledger.Update(t.Context(), j.ID, func(j *job.Job) error {
		now := time.Now()
		err := errors.Join(j.Retry(now, w.rules), j.Claim(now, w.rules, "test", job.NewID(now)))
		return errors.Join(err, j.Fail(now, w.rules, j.Attempt, job.ReasonCrashed, ""))
	})
	if err != nil {
		t.Fatal(err)
	}
	w.handle(t, j)
	_, err = w.ledger.Update(t.Context(), j.ID, func(j *job.Job) error {
		now := time.Now()
		return errors.Join(j.Retry(now, w.rules), j.Stop(now, w.rules, "")) // before anybody has claimed it
	})
	if err != nil {
		t.Fatal(err)
	}
	w.handle(t, j)
	seen := map[string]bool{}
	for _, m := range w.wantMails(t, 3) {
		seen[m.Header.Get("Message-ID")] = true
	}
	if len(seen) != 3 {
		t.Errorf("three failures have the Message-IDs %v", seen)
	}
}

func TestHostileFileNamesStayInTheirLine(t *testing.T) {
	for name, hostile := range map[string]string{
		"headers":                "a.mp4\r\nBcc: eve@example.com\r\n\r\nBuy!",
		"an end of the mail":     "a\r\n.\r\nMAIL FROM:<eve@example.com>",
		"right-to-left":          "gnp.\u202e4pm.exe",
		"a separator":            "a\u2028b\u2029c\u0085d",
		"another mail's words":   "mp3 file_id: 000000000000000000000000 is now ready!",
		"markup":                 `<b>eve</b><img src="http://evil.example/x" onerror='alert(1)'><script>alert(2)</script>`,
		"bytes that are no text": string([]byte{0xff, 0xfe, 'a', 0}) + "b",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.handle(t, w.failed(t, hostile, job.ReasonNoAudio, "x\r\n"+hostile))
			got := w.wantMails(t, 1)[0]
			if got.Header.Get("Bcc") != "" || len(w.server.Mails()[0].To) != 1 {
				t.Error("the name made a header or recipient")
			}
			lines := strings.Split(got.Body, "\n")
			if len(lines) != 9 || !strings.HasPrefix(lines[0], `Your file "`) || !strings.HasPrefix(lines[2], "Reason: ") ||
				!strings.HasPrefix(lines[3], "What you can do: ") {
				t.Errorf("the body has other lines than ours:\n%s", got.Body)
			}
			for _, markup := range []string{"<b>", "<img", "<script", "&lt;b&gt;eve"} {
				if written := strings.Contains(got.HTML, markup); written != (markup == "&lt;b&gt;eve" && name == "markup") {
					t.Errorf("the HTML has %s: %v\n%s", markup, written, got.HTML)
				}
			}
			if strings.ContainsAny(got.Body+got.HTML, "\u202e\u2028\u2029\u0085\x00\r") {
				t.Errorf("the body has control characters: %q", got.Body)
			}
		})
	}
}

func TestLaterMeansTheScheduleAndThenNoMore(t *testing.T) {
	w := newWorld(t)
	w.server.Always(testserver.AtRcpt, testserver.Say(451, "4.7.1 greylisted"))
	j := w.converted(t)
	waits := append(w.rules.MailSteps, 2*time.Hour, 2*time.Hour)
	for i, wait := range waits {
		before := time.Now()
		got := w.handle(t, j)
		wantState(t, got, job.Converted, job.MailPending)
		if got.MailTries != i+1 || got.NotBefore.Before(before.Add(wait).Truncate(time.Millisecond)) {
			t.Errorf("try %d: next in %v, want %v", got.MailTries, got.NotBefore.Sub(before), wait)
		}
		dials := w.server.Dials()
		w.handle(t, j) // too early: nothing happens
		if n := w.server.Dials() - dials; n != 0 {
			t.Errorf("the mail server was bothered %d times before it was time", n)
		}
		w.passes(t, j.ID, wait)
	}
	w.passes(t, j.ID, w.rules.MailFor)
	got := w.handle(t, j)
	wantState(t, got, job.Done, job.MailFailed)
	if !strings.Contains(got.MailError, "greylisted") {
		t.Errorf("MailError is %q", got.MailError)
	}
	w.handle(t, j)
	w.wantMails(t, 0)
}

func TestAGreylisterAcceptsTheSecondTime(t *testing.T) {
	w := newWorld(t)
	w.server.At(testserver.AtRcpt, testserver.Say(451, "4.7.1 greylisted"))
	j := w.converted(t)
	w.handle(t, j)
	w.passes(t, j.ID, time.Minute)
	wantState(t, w.handle(t, j), job.Done, job.MailSent)
	w.wantMails(t, 1)
}

func TestARefusedMailLeavesTheJobDone(t *testing.T) {
	w := newWorld(t)
	w.server.Always(testserver.AtRcpt, testserver.Say(550, "5.1.1 no such user"))
	done, failed := w.converted(t), w.failed(t, "a.mp4", job.ReasonNoAudio, "")
	for range 2 {
		got := w.handle(t, done)
		wantState(t, got, job.Done, job.MailFailed)
		if !strings.Contains(got.MailError, "no such user") {
			t.Errorf("MailError is %q", got.MailError)
		}
		wantState(t, w.handle(t, failed), job.Failed, job.MailFailed)
	}
	if n := w.server.Dials(); n != 2 {
		t.Errorf("%d tries for two mails that are refused for good", n)
	}
}

func TestACutLineAfterTheMailWasAcceptedIsNoFailure(t *testing.T) {
	w := newWorld(t)
	w.server.At(testserver.AfterAccept, testserver.Drop())
	j := w.converted(t)
	wantState(t, w.handle(t, j), job.Done, job.MailSent)
	w.handle(t, j)
	w.wantMails(t, 1)
}

func TestACutLineBeforeTheAnswerMakesTheSameMailAgain(t *testing.T) {
	w := newWorld(t)
	w.server.At(testserver.AfterData, testserver.Drop())
	j := w.converted(t)
	wantState(t, w.handle(t, j), job.Converted, job.MailPending)
	_, err := w.ledger.Update(t.Context(), j.ID, func(j *job.Job) error { j.NotBefore = time.Time{}; return nil })
	if err != nil {
		t.Fatal(err)
	}
	wantState(t, w.handle(t, j), job.Done, job.MailSent)
	w.wantMails(t, 2)
	if mails := w.server.Mails(); mails[0].Data != mails[1].Data {
		t.Errorf("a receiver cannot tell the duplicate:\n%s\n%s", mails[0].Data, mails[1].Data)
	}
}

func TestATarPitIsLeftBeforeTheLeaseRunsOut(t *testing.T) {
	w := newWorld(t, func(c *notification.Config) { c.Rules.Lease = time.Second })
	w.server.Drip(30 * time.Millisecond)
	j := w.converted(t)
	got := w.handle(t, j)
	wantState(t, got, job.Converted, job.MailPending)
	if got.MailTries != 1 || !got.LeaseUntil.IsZero() || !strings.Contains(got.MailError, "lease") {
		t.Errorf("%d tries, lease until %v, error %q", got.MailTries, got.LeaseUntil, got.MailError)
	}
}

func TestManyRingsMakeOneMail(t *testing.T) {
	w := newWorld(t)
	j := w.converted(t)
	var group errgroup.Group
	for range 10 {
		group.Go(func() error { return w.Handle(t.Context(), j.Message()) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	wantState(t, w.handle(t, j), job.Done, job.MailSent)
	w.wantMails(t, 1)
}

func TestWhatOwesNoMailIsSettled(t *testing.T) {
	w := newWorld(t)
	deleted := w.converted(t)
	if _, err := w.ledger.Update(t.Context(), deleted.ID, func(j *job.Job) error { return j.Delete(time.Now()) }); err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]job.Message{
		"a job that is being converted": w.insert(t, w.claimed(t, "a.mp4")).Message(),
		"a deleted job":                 deleted.Message(),
		"a job that is gone":            {Video: job.NewID(time.Now()), MP3: job.NewID(time.Now()), Username: owner},
	} {
		if err := w.Handle(t.Context(), m); err != nil {
			t.Errorf("%s: Handle = %v, want nil", name, err)
		}
	}
	w.wantMails(t, 0)
}

func TestTheOriginalsMessageIsAdopted(t *testing.T) {
	w := newWorld(t)
	m := job.Message{Video: job.NewID(time.Now()), MP3: w.putMP3(t, ""), Username: owner, Foreign: true}
	for range 3 {
		if err := w.Handle(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	wantState(t, w.get(t, m.Video), job.Done, job.MailSent)
	if got := w.wantMails(t, 1)[0]; !strings.HasPrefix(got.Body, "mp3 file_id: "+m.MP3+" is now ready!\n") {
		t.Errorf("body %q", got.Body)
	}
}

func TestForeignMessagesThatNoJobCanComeOf(t *testing.T) {
	w := newWorld(t)
	video, absent := job.NewID(time.Now()), job.NewID(time.Now())
	for name, tt := range map[string]struct{ mp3, want string }{
		"no mp3_fid":         {"", "no mp3_fid"},
		"an unknown mp3_fid": {absent, "unknown mp3_fid"},
		"somebody else's":    {w.putMP3(t, "ann@example.com"), "somebody else"},
	} {
		err := w.Handle(t.Context(), job.Message{Video: video, MP3: tt.mp3, Username: owner, Foreign: true})
		if !errors.Is(err, job.ErrPoison) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: Handle = %v, want poison that says %q", name, err, tt.want)
		}
	}
	w.wantMails(t, 0)
}

func TestALedgerThatIsAwayAtTheClaimMeansLater(t *testing.T) {
	w := newWorld(t)
	j := w.converted(t)
	w.ledger.away = func(call int) bool { return call == 1 }
	err := w.Handle(t.Context(), j.Message())
	if !errors.Is(err, errAway) || errors.Is(err, job.ErrPoison) {
		t.Errorf("Handle = %v, want the ledger's error", err)
	}
	wantState(t, w.handle(t, j), job.Done, job.MailSent)
	w.wantMails(t, 1)
}

func TestAnAcceptedMailIsNotedOnceTheLedgerIsBack(t *testing.T) {
	for name, script := range map[string]func(*flaky){
		"away for some calls":      func(f *flaky) { f.away = func(call int) bool { return call > 1 && call < 5 } },
		"only the answer was lost": func(f *flaky) { f.loud = func(call int) bool { return call == 2 } },
		"the answer, and then calls": func(f *flaky) {
			f.loud, f.away = func(c int) bool { return c == 2 }, func(c int) bool { return c == 3 }
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			script(w.ledger)
			j := w.converted(t)
			wantState(t, w.handle(t, j), job.Done, job.MailSent)
			w.passes(t, j.ID, w.rules.Lease)
			w.handle(t, j)
			w.wantMails(t, 1)
		})
	}
}

func TestTheOwnerDeletesTheJobWhileItsMailIsSent(t *testing.T) {
	var w *world
	w = newWorld(t, func(c *notification.Config) {
		send := c.Send
		c.Send = func(ctx context.Context, l job.Letter) error {
			id, _, _ := strings.Cut(l.MessageID, ".")
			_, err := w.ledger.Ledger.Update(ctx, id, func(j *job.Job) error { return j.Delete(time.Now()) })
			return errors.Join(err, send(ctx, l))
		}
	})
	j := w.converted(t)
	if got := w.handle(t, j); got.State != job.Deleted {
		t.Errorf("the job is %s", got.State)
	}
}

func TestAStopInTheMiddleGivesTheMailToSomebodyElseAtOnce(t *testing.T) {
	w := newWorld(t)
	w.server.At(testserver.AtMail, testserver.Stall())
	j := w.converted(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	handled := make(chan error)
	go func() { handled <- w.Handle(ctx, j.Message()) }()
	for w.server.Came(testserver.AtMail) == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-handled; !errors.Is(err, context.Canceled) {
		t.Errorf("Handle = %v, want context.Canceled in the chain", err)
	}
	if got := w.get(t, j.ID); got.MailTries != 0 || !got.LeaseUntil.IsZero() || !got.NotBefore.IsZero() {
		t.Errorf("the stop counted: %d tries, lease until %v, not before %v", got.MailTries, got.LeaseUntil, got.NotBefore)
	}
	wantState(t, w.handle(t, j), job.Done, job.MailSent)
	w.wantMails(t, 1)
}

func TestAStoppedServiceTakesNothing(t *testing.T) {
	w := newWorld(t)
	j := w.converted(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Handle(ctx, j.Message()); !errors.Is(err, context.Canceled) {
		t.Errorf("Handle = %v, want context.Canceled", err)
	}
	wantState(t, w.get(t, j.ID), job.Converted, job.MailPending)
}

func TestMailsForManyGoInParallel(t *testing.T) {
	w := newWorld(t)
	var group errgroup.Group
	const jobs = 10
	for range jobs {
		j := w.converted(t)
		group.Go(func() error { return w.Handle(t.Context(), j.Message()) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, m := range w.wantMails(t, jobs) {
		ids[m.Header.Get("Message-ID")] = true
	}
	if len(ids) != jobs {
		t.Errorf("%d different mails, want %d", len(ids), jobs)
	}
}

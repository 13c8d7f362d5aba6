package degrade

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mp3converter/internal/testserver"
	"mp3converter/internal/testsuite"
)

func TestDegradation(t *testing.T) {
	t.Parallel()
	for _, g := range table {
		t.Run(g.group, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, g.group)
			for _, r := range g.rows {
				for _, way := range r.ways {
					if !t.Run(r.down+" "+way.how, func(t *testing.T) { w.outage(t, r, way) }) {
						return // the others would only wait
					}
				}
			}
		})
	}
}

// outage is one row in one way: before, during and after.
func (w *world) outage(t *testing.T, r row, way way) {
	o := &outage{world: w, row: r, p: w.Someone(t)}
	o.before(t)
	down := way.down(t, w)
	up := sync.OnceFunc(down)
	t.Cleanup(up)
	o.during(t)
	up()
	o.after(t)
}

type outage struct {
	*world
	row
	p     *testsuite.Person
	mp3   string   // can be downloaded
	owed  string   // a job whose MP3 is there, and whose mail the mail server has put off
	begun string   // a job whose conversion is under way
	taken []string // the jobs behind all uploads that were answered with 200
}

func (o *outage) before(t *testing.T) {
	smtp := o.At.SMTP
	smtp.Always(testserver.AtMail, testserver.Say(451, "4.3.2 later"))
	o.owed = o.p.Upload(t, testsuite.Clip(t), "owed.mp4")
	o.mp3 = testsuite.OrEmpty(o.p.Reaches(t, o.owed, "converted").MP3)
	tries := smtp.Came(testserver.AtMail)
	testsuite.Eventually(t, "the mail is put off", func() bool { return smtp.Came(testserver.AtMail) > tries })
	o.hold(t)
	t.Cleanup(o.release)
	o.begun = o.p.Upload(t, testsuite.Clip(t), "begun.mp4")
	o.p.Reaches(t, o.begun, "converting")
	o.held(t)
	o.taken = []string{o.owed, o.begun}
}

func (o *outage) during(t *testing.T) {
	meanwhile := o.answers(t)
	o.At.SMTP.Always(testserver.AtMail, testserver.Pass())
	o.release()
	if o.conversions == goOn {
		testsuite.Eventually(t, "conversions go on", func() bool { return o.converts(t, meanwhile) })
	}
	if o.mails == goOn {
		testsuite.Eventually(t, "mails go on", func() bool { return o.mailed(t, o.owed) })
	}
	o.readiness(t)
	if o.conversions == wait && o.jobs == http.StatusOK {
		// It may be tried, as by a converter that finds its ffmpeg gone.
		if j := o.p.Job(t, meanwhile); j.State != "queued" && j.State != "converting" {
			t.Errorf("an upload was %s meanwhile, want it to wait", j.State)
		}
	}
	if o.mails == wait {
		if mails := o.Mails(t, o.p.Email); len(mails) != 0 {
			t.Errorf("%d mails went out meanwhile, want them to wait", len(mails))
		}
	}
}

// requests are the four of the table, in its order. A token is at hand: logging in is one of them.
func (o *outage) requests(t *testing.T) []testsuite.Request {
	t.Helper()
	return []testsuite.Request{
		{Base: o.URL, Method: http.MethodPost, Path: "/login", Auth: testsuite.Basic(o.p.Email, o.p.Password)},
		o.p.Posting(t, "/upload", nil, testsuite.FilePart("file", "vid_1.mp4", []byte(testsuite.Read(t, testsuite.Clip(t))))),
		o.p.With(testsuite.Request{Path: "/download?fid=" + o.mp3}),
		o.p.With(testsuite.Request{Path: "/jobs"}),
	}
}

// prompt is a client that waits as long as all that a request needs may take together, and so much more for a busy
// machine. What hangs longer is no answer.
var prompt = &http.Client{Timeout: mongoTime + confirmTime + authTime + 30*time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// answers holds the four answers against the row, and returns the job that was made of the upload, if one was.
func (o *outage) answers(t *testing.T) (job string) {
	t.Helper()
	requests := o.requests(t)
	for i, a := range testsuite.AtOnceBy(t, prompt, requests...) {
		want := []int{o.login, o.upload, o.download, o.jobs}[i]
		if want == http.StatusOK && a.HeldUp() { // by the machine
			a = testsuite.Send(t, o.requests(t)[i])
		}
		if a.Status != want {
			t.Errorf("%s = %d %.200q, want %d", requests[i].Path, a.Status, a.Body, want)
		}
		if again := a.Header.Get("Retry-After"); (again != "") != (want == http.StatusServiceUnavailable) {
			t.Errorf("%s = %d with Retry-After %q", requests[i].Path, a.Status, again)
		}
		if i == 1 && a.Status == http.StatusOK {
			job = testsuite.JobOf(t, a)
			o.taken = append(o.taken, job)
		}
	}
	return job
}

// converts reports whether an MP3 has been made since the outage began. While nobody may look at jobs the mails tell.
func (o *outage) converts(t *testing.T, meanwhile string) bool {
	t.Helper()
	if o.jobs != http.StatusOK || meanwhile == "" {
		return o.mailed(t, o.begun)
	}
	state := o.p.Job(t, meanwhile).State
	return state == "converted" || state == "done"
}

// mailed reports whether somebody was mailed about the job.
func (o *outage) mailed(t *testing.T, job string) bool {
	t.Helper()
	return slices.ContainsFunc(o.Mails(t, o.p.Email), func(l testsuite.Letter) bool { return strings.HasPrefix(l.ID, job+".") })
}

// readiness waits for what the four say of themselves: each lives, and who is not ready says what is missing.
func (o *outage) readiness(t *testing.T) {
	t.Helper()
	for name, p := range o.programs() {
		if name == o.down { // it is away itself
			continue
		}
		testsuite.Send(t, testsuite.Request{Base: "http://" + p.Serving(t, "ops"), Path: "/livez"}).Is(t, 200, "alive")
		want, about := http.StatusOK, "ready"
		switch {
		case slices.Contains(o.unready, name):
			want, about = http.StatusServiceUnavailable, "\n"+strings.ToLower(o.down)+": "
		case o.names == name:
			about = "ready, coping without:\n" + strings.ToLower(o.down) + ": "
		}
		var got testsuite.Answer
		testsuite.Eventually(t, name+"'s /readyz says "+about, func() bool {
			got = p.Ready(t)
			return got.Status == want && strings.Contains(got.Body, about)
		})
	}
}

// after waits until the same requests are answered as ever, and for the good end of all that was taken.
func (o *outage) after(t *testing.T) {
	t.Helper()
	for i := range o.requests(t) {
		testsuite.Eventually(t, "all is answered as before", func() bool {
			r := o.requests(t)[i]
			a := testsuite.Send(t, r)
			if a.Status/100 == 4 {
				t.Fatalf("%s = %d %q after an outage", r.Path, a.Status, a.Body)
			}
			if i == 1 && a.Status == http.StatusOK {
				o.taken = append(o.taken, testsuite.JobOf(t, a))
			}
			return a.Status == http.StatusOK
		})
	}
	for _, id := range o.taken {
		if j := o.p.Reaches(t, id, "done"); j.Attempts != 1 {
			t.Errorf("job %s took %d attempts, want 1", id, j.Attempts)
		}
	}
	if jobs := o.p.List(t, "").Jobs; len(jobs) != len(o.taken) {
		t.Errorf("%d uploads were taken, and there are %d jobs", len(o.taken), len(jobs))
	}
	if mails := o.Mails(t, o.p.Email); len(mails) != len(o.taken) {
		t.Errorf("%d uploads were taken, and %d mails have come", len(o.taken), len(mails))
	}
	for _, id := range o.taken {
		if !o.mailed(t, id) {
			t.Errorf("nobody was mailed about job %s", id)
		}
	}
	o.AllReady(t)
}

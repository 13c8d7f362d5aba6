package stories

import (
	"crypto/rand"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"mp3converter/internal/testmedia"
)

// page is what GET /jobs answers.
type page struct {
	Jobs []jobView
	Next *string
}

func (p *person) list(t testing.TB, query string) (list page) {
	t.Helper()
	p.get(t, "/jobs"+query).into(t, &list)
	return list
}

func theJobs(t *testing.T, s *suite) {
	p, other := s.someone(t), s.someone(t)
	if jobs := p.get(t, "/jobs"); jobs.body != `{"jobs":[],"next":null}` {
		t.Errorf("the jobs of who has none: %s", jobs.body)
	}
	first := p.upload(t, clip(t), "first.mp4")
	p.reaches(t, first, "done")
	begun := time.Now().Unix()
	eventually(t, "the next second begins: ids count no finer", func() bool { return time.Now().Unix() > begun })
	second := p.upload(t, clip(t), "second.mp4")
	done := p.reaches(t, second, "done")

	if all := p.list(t, ""); len(all.Jobs) != 2 || all.Jobs[0].ID != second || all.Jobs[1].ID != first || all.Next != nil {
		t.Errorf("the jobs, newest first: %+v", all)
	}
	one := p.list(t, "?limit=1")
	if len(one.Jobs) != 1 || one.Jobs[0].ID != second || orEmpty(one.Next) != second {
		t.Errorf("the first page: %+v", one)
	}
	if rest := p.list(t, "?limit=1&before="+second); len(rest.Jobs) != 1 || rest.Jobs[0].ID != first || rest.Next != nil {
		t.Errorf("the last page: %+v", rest)
	}
	p.get(t, "/jobs?limit=0").is(t, 400, "limit must be 1 to 200 and before a job's id")

	if all := other.list(t, ""); len(all.Jobs) != 0 {
		t.Errorf("somebody else sees %+v", all)
	}
	for _, r := range []request{
		{path: "/jobs/" + first}, {path: "/jobs/" + first + "/retry", method: http.MethodPost}, {path: "/jobs/" + first, method: http.MethodDelete},
		{path: "/jobs/" + unknown}, {path: "/jobs/x"},
	} {
		other.do(t, r).is(t, 404, "no such job")
	}
	p.do(t, request{path: "/jobs/" + first + "/retry", method: http.MethodPost}).is(t, 409, "only a failed job can be retried")

	p.do(t, request{path: "/jobs/" + second, method: http.MethodDelete}).is(t, 204, "")
	p.get(t, "/jobs/"+second).is(t, 404, "no such job")
	p.get(t, "/download?fid="+orEmpty(done.MP3)).is(t, 404, "no such file")
	p.do(t, request{path: "/jobs/" + second, method: http.MethodDelete}).is(t, 404, "no such job")
	if all := p.list(t, ""); len(all.Jobs) != 1 || all.Jobs[0].ID != first {
		t.Errorf("the jobs after one was deleted: %+v", all)
	}
}

func theKey(t *testing.T, s *suite) {
	p, other := s.someone(t), s.someone(t)
	file := part{"file", "vid_1.mp4", []byte(read(t, clip(t)))}
	upload := func(who *person, key string) string {
		a := who.post(t, "/upload", http.Header{"Idempotency-Key": {key}}, file)
		a.is(t, 200, "success!")
		return jobOf(t, a)
	}
	first := upload(p, "key")
	if again := upload(p, "key"); again != first {
		t.Errorf("the same key made job %s and job %s", first, again)
	}
	if upload(p, "another key") == first || upload(other, "key") == first {
		t.Error("another key, or another user's, found the job")
	}
	p.reaches(t, first, "done")
	if again := upload(p, "key"); again != first {
		t.Errorf("the key of a job that is done made another, %s", again)
	}
	p.mailed(t, 2)
	p.do(t, request{path: "/jobs/" + first, method: http.MethodDelete}).is(t, 204, "")
	again := upload(p, "key")
	if again == first {
		t.Error("the key of a deleted job found it")
	}
	p.reaches(t, again, "done")
}

func theSilentVideo(t *testing.T, s *suite) {
	p := s.someone(t)
	id := p.upload(t, testmedia.Clip(t, testmedia.Spec{Audio: testmedia.None}), "silent.mp4")
	j := p.reaches(t, id, "failed")
	if orEmpty(j.Reason) != "no_audio" || orEmpty(j.Detail) == "" || j.MP3 != nil || j.Attempts != 1 {
		t.Errorf("the job: %+v", j)
	}
	first := p.mailed(t, 1)[0]
	saysWhy(t, first, "silent.mp4", "the file has no sound", id)

	a := p.do(t, request{method: http.MethodPost, path: "/jobs/" + id + "/retry"})
	a.into(t, &j)
	if a.status != http.StatusAccepted || j.ID != id || j.State == "failed" || j.Reason != nil {
		t.Errorf("retry = %d %s", a.status, a.body)
	}
	second := p.mailed(t, 2)[1]
	saysWhy(t, second, "silent.mp4", "the file has no sound", id)
	if first.ID == second.ID {
		t.Error("the second failure's mail is a duplicate of the first's")
	}
	if j := p.job(t, id); j.State != "failed" || j.Attempts != 1 {
		t.Errorf("the job after the retry: %+v", j)
	}
}

func theRandomBytes(t *testing.T, s *suite) {
	p := s.someone(t)
	noise := make([]byte, 300<<10) // more than a chunk
	_, _ = rand.Read(noise)
	id := p.upload(t, saved(t, ".mp4", string(noise)), "noise.mp4")
	if j := p.reaches(t, id, "failed"); orEmpty(j.Reason) != "unsupported" || orEmpty(j.Detail) == "" {
		t.Errorf("the job: %+v", j)
	}
	saysWhy(t, p.mailed(t, 1)[0], "noise.mp4", "the file is in no format that can be converted", id)
}

// saysWhy checks the mail of a failed job.
func saysWhy(t *testing.T, mail letter, file, reason, id string) {
	t.Helper()
	if mail.From != sender || mail.Subject != "MP3 conversion failed" {
		t.Errorf("the mail: %+v", mail)
	}
	for _, want := range []string{`"` + file + `"`, "Reason: " + reason, baseURL + "/jobs/" + id + "\n"} {
		if !strings.Contains(mail.Body, want) {
			t.Errorf("the mail does not say %q:\n%s", want, mail.Body)
		}
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

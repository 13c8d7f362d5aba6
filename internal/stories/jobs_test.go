package stories

import (
	"crypto/rand"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"mp3converter/internal/testsuite"

	"mp3converter/internal/testmedia"
)

func theJobs(t *testing.T, s *testsuite.Suite) {
	p, other := s.Someone(t), s.Someone(t)
	if jobs := p.Get(t, "/jobs"); jobs.Body != `{"jobs":[],"next":null}` {
		t.Errorf("the jobs of who has none: %s", jobs.Body)
	}
	first := p.Upload(t, testsuite.Clip(t), "first.mp4")
	p.Reaches(t, first, "done")
	begun := time.Now().Unix()
	testsuite.Eventually(t, "the next second begins: ids count no finer", func() bool { return time.Now().Unix() > begun })
	second := p.Upload(t, testsuite.Clip(t), "second.mp4")
	done := p.Reaches(t, second, "done")

	if all := p.List(t, ""); len(all.Jobs) != 2 || all.Jobs[0].ID != second || all.Jobs[1].ID != first || all.Next != nil {
		t.Errorf("the jobs, newest first: %+v", all)
	}
	one := p.List(t, "?limit=1")
	if len(one.Jobs) != 1 || one.Jobs[0].ID != second || testsuite.OrEmpty(one.Next) != second {
		t.Errorf("the first page: %+v", one)
	}
	if rest := p.List(t, "?limit=1&before="+second); len(rest.Jobs) != 1 || rest.Jobs[0].ID != first || rest.Next != nil {
		t.Errorf("the last page: %+v", rest)
	}
	p.Get(t, "/jobs?limit=0").Is(t, 400, "limit must be 1 to 200 and before a job's id")

	if all := other.List(t, ""); len(all.Jobs) != 0 {
		t.Errorf("somebody else sees %+v", all)
	}
	for _, r := range []testsuite.Request{
		{Path: "/jobs/" + first}, {Path: "/jobs/" + first + "/retry", Method: http.MethodPost}, {Path: "/jobs/" + first, Method: http.MethodDelete},
		{Path: "/jobs/" + unknown}, {Path: "/jobs/x"},
	} {
		other.Do(t, r).Is(t, 404, "no such job")
	}
	p.Do(t, testsuite.Request{Path: "/jobs/" + first + "/retry", Method: http.MethodPost}).Is(t, 409, "only a failed job can be retried")

	p.Do(t, testsuite.Request{Path: "/jobs/" + second, Method: http.MethodDelete}).Is(t, 204, "")
	p.Get(t, "/jobs/"+second).Is(t, 404, "no such job")
	p.Get(t, "/download?fid="+testsuite.OrEmpty(done.MP3)).Is(t, 404, "no such file")
	p.Do(t, testsuite.Request{Path: "/jobs/" + second, Method: http.MethodDelete}).Is(t, 404, "no such job")
	if all := p.List(t, ""); len(all.Jobs) != 1 || all.Jobs[0].ID != first {
		t.Errorf("the jobs after one was deleted: %+v", all)
	}
}

func theKey(t *testing.T, s *testsuite.Suite) {
	p, other := s.Someone(t), s.Someone(t)
	file := testsuite.FilePart("file", "vid_1.mp4", []byte(testsuite.Read(t, testsuite.Clip(t))))
	upload := func(who *testsuite.Person, key string) string {
		a := who.Post(t, "/upload", http.Header{"Idempotency-Key": {key}}, file)
		a.Is(t, 200, "success!")
		return testsuite.JobOf(t, a)
	}
	first := upload(p, "key")
	if again := upload(p, "key"); again != first {
		t.Errorf("the same key made job %s and job %s", first, again)
	}
	if upload(p, "another key") == first || upload(other, "key") == first {
		t.Error("another key, or another user's, found the job")
	}
	p.Reaches(t, first, "done")
	if again := upload(p, "key"); again != first {
		t.Errorf("the key of a job that is done made another, %s", again)
	}
	p.Mailed(t, 2)
	p.Do(t, testsuite.Request{Path: "/jobs/" + first, Method: http.MethodDelete}).Is(t, 204, "")
	again := upload(p, "key")
	if again == first {
		t.Error("the key of a deleted job found it")
	}
	p.Reaches(t, again, "done")
}

func theSilentVideo(t *testing.T, s *testsuite.Suite) {
	p := s.Someone(t)
	id := p.Upload(t, testmedia.Clip(t, testmedia.Spec{Audio: testmedia.None}), "silent.mp4")
	j := p.Reaches(t, id, "failed")
	if testsuite.OrEmpty(j.Reason) != "no_audio" || testsuite.OrEmpty(j.Detail) == "" || j.MP3 != nil || j.Attempts != 1 {
		t.Errorf("the job: %+v", j)
	}
	first := p.Mailed(t, 1)[0]
	saysWhy(t, first, "silent.mp4", "the file has no sound", id)

	a := p.Do(t, testsuite.Request{Method: http.MethodPost, Path: "/jobs/" + id + "/retry"})
	a.Into(t, &j)
	if a.Status != http.StatusAccepted || j.ID != id || j.State == "failed" || j.Reason != nil {
		t.Errorf("retry = %d %s", a.Status, a.Body)
	}
	second := p.Mailed(t, 2)[1]
	saysWhy(t, second, "silent.mp4", "the file has no sound", id)
	if first.ID == second.ID {
		t.Error("the second failure's mail is a duplicate of the first's")
	}
	if j := p.Job(t, id); j.State != "failed" || j.Attempts != 1 {
		t.Errorf("the job after the retry: %+v", j)
	}
}

func theRandomBytes(t *testing.T, s *testsuite.Suite) {
	p := s.Someone(t)
	noise := make([]byte, 300<<10) // more than a chunk
	_, _ = rand.Read(noise)
	id := p.Upload(t, testsuite.Saved(t, ".mp4", string(noise)), "noise.mp4")
	if j := p.Reaches(t, id, "failed"); testsuite.OrEmpty(j.Reason) != "unsupported" || testsuite.OrEmpty(j.Detail) == "" {
		t.Errorf("the job: %+v", j)
	}
	saysWhy(t, p.Mailed(t, 1)[0], "noise.mp4", "the file is in no format that can be converted", id)
}

// saysWhy checks the mail of a failed job.
func saysWhy(t *testing.T, mail testsuite.Letter, file, reason, id string) {
	t.Helper()
	if mail.From != testsuite.Sender || mail.Subject != "MP3 conversion failed" {
		t.Errorf("the mail: %+v", mail)
	}
	for _, want := range []string{`"` + file + `"`, "Reason: " + reason, testsuite.BaseURL + "/?job=" + id + "\n", testsuite.BaseURL + "/jobs/" + id + "\n", testsuite.BaseURL + "/jobs/" + id + "/retry\n"} {
		if !strings.Contains(mail.Body, want) {
			t.Errorf("the mail does not say %q:\n%s", want, mail.Body)
		}
	}
	for _, want := range []string{"<bdi>" + file + "</bdi>", reason[1:], testsuite.BaseURL + "/jobs/" + id + "/retry<"} {
		if !strings.Contains(mail.HTML, want) {
			t.Errorf("the mail's HTML does not say %q:\n%s", want, mail.HTML)
		}
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

package stories

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mp3converter/internal/testsuite"
)

// Of a day and a month there are two seconds and five here.
func TestFilesGoWhenTheyWereKeptLongEnough(t *testing.T) {
	t.Parallel()
	s := testsuite.OneProgram(t, "KEEP_VIDEO_HOURS=0.0006", "KEEP_MP3_DAYS=0.00006", "MAIL_GIVE_UP_SECONDS=5")
	p := s.Someone(t)
	id := p.Upload(t, testsuite.Clip(t), "vid_1.mp4")
	mail := p.Mailed(t, 1)[0]
	j := p.Reaches(t, id, "done")
	if j.VideoUntil == nil || j.MP3Until == nil || *j.VideoUntil <= testsuite.OrEmpty(j.Ended) || *j.MP3Until <= *j.VideoUntil {
		t.Fatalf("the job: %+v", j)
	}
	fid := testsuite.OrEmpty(j.MP3)
	there := func(kind, id string) bool {
		_, err := os.Stat(filepath.Join(s.Dir, kind, id))
		return err == nil
	}
	testsuite.Eventually(t, "the video is gone", func() bool { return !there("videos", id) })
	testsuite.Eventually(t, "the MP3 is gone", func() bool { return !there("mp3s", fid) })
	for _, path := range []string{"/download?fid=" + fid, "/download?fid=" + id} {
		if a := p.Get(t, path); a.Status != http.StatusGone || !strings.HasPrefix(a.Body, "the MP3 was kept until ") {
			t.Errorf("%s = %d %q", path, a.Status, a.Body)
		}
	}
	link := testsuite.Request{Base: s.URL, Path: strings.TrimPrefix(linkIn(t, mail), testsuite.BaseURL)}
	if a := testsuite.Send(t, link); a.Status != http.StatusGone {
		t.Errorf("the mail's link = %d %q", a.Status, a.Body)
	}
	after := p.Job(t, id)
	if after.State != "done" || after.Bytes != j.Bytes || testsuite.OrEmpty(after.MP3Until) != *j.MP3Until {
		t.Errorf("the job, after: %+v", after)
	}

	silent := p.Upload(t, testsuite.Saved(t, ".mp4", "no video"), "noise.mp4")
	p.Reaches(t, silent, "failed")
	testsuite.Eventually(t, "the failed job's video is gone", func() bool { return !there("videos", silent) })
	p.Do(t, testsuite.Request{Method: http.MethodPost, Path: "/jobs/" + silent + "/retry"}).Is(t, http.StatusConflict, "the uploaded file is gone: upload it again")
}

package stories

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"mp3converter/internal/testmedia"
)

// TestTheOneProgramIsKilled in the middle of a conversion, and started again over its folder.
func TestTheOneProgramIsKilled(t *testing.T) {
	t.Parallel()
	rules := []string{"LEASE_SECONDS=5", "ATTEMPTS=10", "CLEAN_SECONDS=1"}
	s := oneProgram(t, append(rules, "FFMPEG="+slowFFmpeg(t))...)
	p := s.someone(t)
	video := testmedia.Clip(t, testmedia.Spec{Seconds: 30})
	id := p.upload(t, video, "long.mp4")
	p.isConverting(t, id)

	s.process.kill()
	s.start(t, rules...)
	j := p.reaches(t, id, "done") // with the token from before
	if j.Attempts < 2 {           // more if this machine is so busy that leases run out
		t.Errorf("%d attempts, want the one that was killed and the one that was not", j.Attempts)
	}
	lasts(t, p.download(t, orEmpty(j.MP3)), testmedia.Duration(t, video))
	p.mailed(t, 1)
	eventually(t, "the folder holds one MP3 and nothing else", func() bool {
		files, err := os.ReadDir(filepath.Join(s.dir, "mp3s"))
		if err != nil {
			t.Fatal(err)
		}
		files = slices.DeleteFunc(files, func(f os.DirEntry) bool { return len(f.Name()) != 24 })
		parts, err := os.ReadDir(filepath.Join(s.dir, "mp3s", "parts"))
		return err == nil && len(parts) == 0 && len(files) == 1 && files[0].Name() == orEmpty(j.MP3)
	})
	p.login(t)
}

// isConverting waits until ffmpeg is at work on the job and says how far it is.
func (p *person) isConverting(t *testing.T, id string) {
	t.Helper()
	j := awaited(t, "progress of job "+id, func() (jobView, bool) {
		j := p.job(t, id)
		return j, j.State == "converting" && j.Progress > 0 || j.State == "done"
	})
	if j.State != "converting" || j.Progress >= 100 {
		t.Fatalf("the job is %s, %d %%: too quick to be disturbed", j.State, j.Progress)
	}
}

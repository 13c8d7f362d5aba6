package stories

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"mp3converter/internal/testsuite"

	"mp3converter/internal/testmedia"
)

// TestTheOneProgramIsKilled in the middle of a conversion, and started again over its folder.
func TestTheOneProgramIsKilled(t *testing.T) {
	t.Parallel()
	rules := []string{"LEASE_SECONDS=5", "ATTEMPTS=10", "CLEAN_SECONDS=1"}
	s := testsuite.OneProgram(t, append(rules, "FFMPEG="+testsuite.SlowFFmpeg(t), "SANDBOX=off")...)
	p := s.Someone(t)
	video := testmedia.Clip(t, testmedia.Spec{Seconds: 30})
	id := p.Upload(t, video, "long.mp4")
	p.IsConverting(t, id)

	s.Process.Kill()
	s.Start(t, rules...)
	j := p.Reaches(t, id, "done") // with the token from before
	if j.Attempts < 2 {           // more if this machine is so busy that leases run out
		t.Errorf("%d attempts, want the one that was killed and the one that was not", j.Attempts)
	}
	testsuite.Lasts(t, p.Download(t, testsuite.OrEmpty(j.MP3)), testmedia.Duration(t, video))
	p.Mailed(t, 1)
	testsuite.Eventually(t, "the folder holds one MP3 and nothing else", func() bool {
		files, err := os.ReadDir(filepath.Join(s.Dir, "mp3s"))
		if err != nil {
			t.Fatal(err)
		}
		files = slices.DeleteFunc(files, func(f os.DirEntry) bool { return len(f.Name()) != 24 })
		parts, err := os.ReadDir(filepath.Join(s.Dir, "mp3s", "parts"))
		return err == nil && len(parts) == 0 && len(files) == 1 && files[0].Name() == testsuite.OrEmpty(j.MP3)
	})
	p.Login(t)
}

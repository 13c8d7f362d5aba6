package failpoint

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// all points; a new one is added here.
var all = []Point{
	UploadAdmitted, ChunksStored, FileWhole, FileStored, JobCommitted, Published, Confirmed, UploadReply,
	ConversionRung, ConversionClaimed, ChunkRead, FFmpegRunning, VideoEncoded, MP3Committed, MessageHandled,
	MailRung, MailClaimed, LetterHalf, LetterEnded, MailTaken,
}

func TestAReleaseHasNothingOfIt(t *testing.T) {
	for _, build := range []struct {
		tags string
		want bool
	}{{"", false}, {"failpoints", true}} { // the second proves that this test can see
		dir := t.TempDir()
		cmd := exec.CommandContext(t.Context(), "go", "build", "-tags", build.tags, "-o", dir+string(filepath.Separator), "mp3converter/cmd/...")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		var code strings.Builder
		for _, program := range []string{"auth", "gateway", "converter", "notification", "mp3converter"} {
			binary, err := os.ReadFile(filepath.Join(dir, program))
			if err != nil {
				t.Fatal(err)
			}
			code.Write(binary)
		}
		for _, trace := range []string{"FAILPOINT_FIRED", "failpoint.At", "mp3converter/internal/failpoint.read"} {
			if got := strings.Contains(code.String(), trace); got != build.want {
				t.Errorf("built with tags %q: %q is in the programs: %v, want %v", build.tags, trace, got, build.want)
			}
		}
		for _, p := range all {
			if got := strings.Contains(code.String(), string(p)); got && !build.want {
				t.Errorf("built with tags %q: point %q is in the programs", build.tags, p)
			}
		}
	}
}

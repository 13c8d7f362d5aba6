package failpoint_test

import (
	"os"
	"strings"
	"testing"

	"mp3converter/internal/failpoint"
	"mp3converter/internal/testsuite"
)

// all points; a new one is added here.
var all = []failpoint.Point{
	failpoint.UploadAdmitted, failpoint.ChunksStored, failpoint.FileWhole, failpoint.FileStored, failpoint.JobCommitted,
	failpoint.Published, failpoint.Confirmed, failpoint.UploadReply, failpoint.ConversionRung, failpoint.ConversionClaimed,
	failpoint.ChunkRead, failpoint.FFmpegRunning, failpoint.VideoEncoded, failpoint.MP3Committed, failpoint.MessageHandled,
	failpoint.MailRung, failpoint.MailClaimed, failpoint.LetterHalf, failpoint.LetterEnded, failpoint.MailTaken,
}

func TestAReleaseHasNothingOfIt(t *testing.T) {
	for _, build := range []struct {
		what     string
		programs *testsuite.Programs
		want     bool
	}{{"as a release", testsuite.WithoutRaces, false}, {"with failpoints", testsuite.WithFailpoints, true}} { // the second proves that this test can see
		t.Cleanup(build.programs.Remove)
		var code strings.Builder
		for _, program := range []string{"auth", "gateway", "converter", "notification", "mp3converter"} {
			binary, err := os.ReadFile(build.programs.Path(t, program))
			if err != nil {
				t.Fatal(err)
			}
			code.Write(binary)
		}
		for _, trace := range []string{"FAILPOINT_FIRED", "failpoint.At", "mp3converter/internal/failpoint.read"} {
			if got := strings.Contains(code.String(), trace); got != build.want {
				t.Errorf("built %s: %q is in the programs: %v, want %v", build.what, trace, got, build.want)
			}
		}
		for _, p := range all {
			if got := strings.Contains(code.String(), string(p)); got && !build.want {
				t.Errorf("built %s: point %q is in the programs", build.what, p)
			}
		}
	}
}

package testsuite

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"testing"
	"time"

	"mp3converter/internal/checker"
	"mp3converter/internal/job"
	"mp3converter/internal/testmedia"
)

// Video is what a client uploads.
type Video struct {
	Name  string
	Data  []byte
	Sound time.Duration // how long its MP3 must sound; 0 if none may come of it
}

// VideoOf is the file under a name.
func VideoOf(t testing.TB, file, name string) Video {
	t.Helper()
	return Video{name, []byte(Read(t, file)), testmedia.Duration(t, file)}
}

// Form returns the body of an upload and the header that goes with it.
func (v Video) Form(t testing.TB) (io.Reader, http.Header) {
	t.Helper()
	return Form(t, FilePart("file", v.Name, v.Data))
}

// Sent is a try to upload the video as the checker knows it. The outcome is for the client to add.
func (v Video) Sent(owner, key string) checker.Upload {
	sum := sha256.Sum256(v.Data)
	return checker.Upload{
		Owner: owner, Key: key, Name: v.Name, Profile: string(job.Standard),
		Video: hex.EncodeToString(sum[:]), Bytes: int64(len(v.Data)), Sound: v.Sound,
	}
}

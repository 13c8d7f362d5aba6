package arrival

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mp3converter/internal/job"
)

// count goes on at a with the pieces.
func count(t *testing.T, a job.Arrival, pieces ...string) (*Count, job.Arrival) {
	t.Helper()
	c, err := Resume(a, 3)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pieces {
		c.Add([]byte(p))
	}
	at, err := c.At(nil)
	if err != nil {
		t.Fatal(err)
	}
	return c, at
}

func TestWhoeverGoesOnCountsTheSame(t *testing.T) {
	_, once := count(t, job.Arrival{}, "abc", "def", "g")
	_, half := count(t, job.Arrival{}, "abc")
	_, rest := count(t, half, "def", "g")
	if diff := cmp.Diff(once, rest); diff != "" {
		t.Errorf("in two parts (-at once +got):\n%s", diff)
	}
	f, err := Describe(job.File{Bytes: 7}, rest)
	if sum := sha256.Sum256([]byte("abcdefg")); err != nil || f.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("SHA256 is %s, %v, want %x", f.SHA256, err, sum)
	}
	if _, err := Describe(job.File{Bytes: 8}, rest); err == nil {
		t.Error("7 of 8 bytes are a file")
	}
}

func TestASnapshotStaysWhatItWas(t *testing.T) {
	_, at := count(t, job.Arrival{}, "abc", "def")
	was := job.Arrival{Offset: at.Offset, Hash: bytes.Clone(at.Hash), Sums: bytes.Clone(at.Sums)}
	for _, piece := range []string{"ghi", "jkl"} { // two rivals go on from it
		count(t, at, piece)
	}
	if diff := cmp.Diff(was, at); diff != "" {
		t.Errorf("it is now (-was +is):\n%s", diff)
	}
}

func TestALargeFileHasNoSums(t *testing.T) {
	c, err := Resume(job.Arrival{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	for range maxSums/4 + 2 {
		c.Add([]byte("x"))
	}
	at, err := c.At(nil)
	if err != nil || at.Sums != nil || at.Offset != maxSums/4+2 {
		t.Errorf("%d bytes of sums at %d, %v: they are of another file than this", len(at.Sums), at.Offset, err)
	}
}

func TestAStateThatIsNoneIsRefused(t *testing.T) {
	if _, err := Resume(job.Arrival{Offset: 3, Hash: []byte("of another make")}, 3); err == nil {
		t.Error("it was taken")
	}
}

package embedded_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mp3converter/internal/embedded"
	"mp3converter/internal/job"
	"mp3converter/internal/porttest"
)

// A child is this test's own program, started once more to be killed. It writes into the folder it is given and prints
// the id of each thing that was confirmed.

// The child's orders come in these variables.
const (
	roleVar   = "EMBEDDED_TEST_ROLE"
	folderVar = "EMBEDDED_TEST_FOLDER"
)

var roles = map[string]func(dir string) error{
	"insert jobs": childJobs,
	"put files":   childFiles,
	"append":      childAppend,
}

// child plays a role until it is killed, or until the test that started it is gone and nobody reads the output.
func child(role string) {
	err := roles[role](os.Getenv(folderVar))
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func childJobs(dir string) error {
	db, err := embedded.OpenDB(filepath.Join(dir, "db"))
	if err != nil {
		return err
	}
	for {
		j := newJob()
		if err := db.Jobs().Insert(context.Background(), j); err != nil {
			return err
		}
		_, err := db.Jobs().Update(context.Background(), j.ID, func(j *job.Job) error {
			return j.Arrived(time.Now(), job.DefaultRules(), job.File{ID: j.ID, Name: "a.mp4"})
		})
		if err != nil {
			return err
		}
		if _, err := fmt.Println(j.ID); err != nil {
			return err
		}
	}
}

// childFiles prints "half" and the id when a file is half written, and is stuck there.
func childFiles(dir string) error {
	files, err := embedded.OpenFiles(dir)
	if err != nil {
		return err
	}
	for range 5 {
		f, err := files.Put(context.Background(), porttest.NewFile("whole"), strings.NewReader(wholeFile))
		if err != nil {
			return err
		}
		fmt.Println(f.ID)
	}
	half := porttest.NewFile("half")
	_, err = files.Put(context.Background(), half, io.MultiReader(strings.NewReader(strings.Repeat("x", 1<<20)), stuck{half.ID}))
	return err
}

// arrivingFile is the content that childAppend adds to the upload of that id, which never is whole there.
var (
	arrivingFile = porttest.Bytes(1, 64<<20)
	arrivingID   = "64f000000000000000000001"
)

// childAppend prints what it has the ledger note.
func childAppend(dir string) error {
	files, err := embedded.OpenFiles(dir)
	if err != nil {
		return err
	}
	var at job.Arrival
	for part := 100_000; ; part += 200_000 {
		at.Writer++
		end := min(int(at.Offset)+part, len(arrivingFile)-1)
		err := files.Append(context.Background(), job.File{ID: arrivingID, Bytes: int64(len(arrivingFile))}, at,
			bytes.NewReader(arrivingFile[at.Offset:end]), func(_ context.Context, a job.Arrival) error {
				at = a
				text, err := json.Marshal(a)
				fmt.Println(string(text))
				return err
			})
		if err != nil {
			return err
		}
	}
}

const wholeFile = "every byte of it"

// stuck says that its reader has come so far, and then nothing until the parent is gone.
type stuck struct{ id string }

func (s stuck) Read([]byte) (int, error) {
	fmt.Println("half", s.id)
	_, err := io.Copy(io.Discard, os.Stdin)
	return 0, errors.Join(err, errors.New("the parent is gone"))
}

// killChild starts a child in dir, kills it when it has printed a line that enough accepts, and returns all its lines.
func killChild(t *testing.T, role, dir string, enough func(lines []string) bool) []string {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = append(os.Environ(), roleVar+"="+role, folderVar+"="+dir)
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil { // ends with us
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var lines []string
	killed := false
	scanner := bufio.NewScanner(out)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		lines = append(lines, scanner.Text())
		if !killed && enough(lines) {
			killed = true
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	if err := cmd.Wait(); !killed {
		t.Fatalf("the child ended by itself: %v", err)
	}
	return lines
}

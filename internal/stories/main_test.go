package stories

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"mp3converter/internal/testserver"
)

func TestMain(m *testing.M) {
	go func() { _, _ = built() }() // while the servers start; waited for below
	testserver.Main(m, func() {
		if dir, err := built(); err == nil {
			os.RemoveAll(dir)
		}
	})
}

// built is the folder with all commands, made once per test process, with the race detector in them.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "mp3c-stories-")
	if err != nil {
		return "", err
	}
	out, err := exec.Command("go", "build", "-race", "-o", dir+string(filepath.Separator), "../../cmd/...").CombinedOutput()
	if err != nil {
		return "", errors.Join(fmt.Errorf("build the commands: %w: %s", err, out), os.RemoveAll(dir))
	}
	return dir, nil
})

// program returns the path of a command.
func program(tb testing.TB, name string) string {
	tb.Helper()
	dir, err := built()
	if err != nil {
		tb.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// patience is more than anything here takes, on two cores that are busy with other tests too.
const patience = 2 * time.Minute

// eventually asks again and again until it is so, and fails the test if it never is.
func eventually(tb testing.TB, what string, so func() bool) {
	tb.Helper()
	awaited(tb, what, func() (struct{}, bool) { return struct{}{}, so() })
}

// awaited asks again and again for a value until it is there.
func awaited[T any](tb testing.TB, what string, get func() (T, bool)) T {
	tb.Helper()
	const pause = 50 * time.Millisecond
	for deadline := time.Now().Add(patience); ; time.Sleep(pause) {
		if v, ok := get(); ok {
			return v
		}
		if time.Now().After(deadline) {
			tb.Fatalf("not after %v: %s", patience, what)
		}
	}
}

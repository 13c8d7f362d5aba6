package testsuite

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"mp3converter/internal/testserver"
)

// Programs are all commands. They are built in bin/tests/, where the next test process finds most of the work done: only what has
// changed is built and linked anew. Each process runs its own names of the files, which stay what they are when another builds.
type Programs struct {
	name  string // of the build, and of its folder
	tags  string
	plain bool

	once sync.Once
	dir  string
	err  error
}

// The builds that tests run.
var (
	Release        = &Programs{name: "release"}                        // what is delivered
	WithFailpoints = &Programs{name: "failpoints", tags: "failpoints"} // the same with package failpoint awake in them
	WithoutRaces   = &Programs{name: "plain", plain: true}             // the same as Release without the race detector, which takes several times the memory
)

// Build builds the programs, unless they are.
func (p *Programs) Build() error {
	p.once.Do(func() { p.err = p.build() })
	return p.err
}

func (p *Programs) build() error {
	shared := filepath.Join(testserver.Top(), "bin", "tests", p.name)
	if err := os.MkdirAll(shared, 0o700); err != nil {
		return err
	}
	lock, err := os.Open(shared)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", shared, err)
	}
	// Without what debuggers want, as in the images: to link it is most of the work.
	args := []string{"build", fmt.Sprintf("-race=%t", !p.plain), "-ldflags=-s -w", "-tags", p.tags, "-o", shared + string(filepath.Separator), "mp3converter/cmd/..."}
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, out)
	}
	if p.dir, err = os.MkdirTemp(filepath.Dir(shared), "of-"); err != nil {
		return err
	}
	built, err := os.ReadDir(shared)
	for _, program := range built {
		if err == nil {
			err = os.Link(filepath.Join(shared, program.Name()), filepath.Join(p.dir, program.Name()))
		}
	}
	if ffmpeg := imageFFmpeg(); err == nil && ffmpeg != "" {
		err = os.Symlink(ffmpeg, filepath.Join(p.dir, "ffmpeg")) // beside them, as in the image
	}
	return err
}

// imageFFmpeg is the path of the image's ffmpeg, where it is built: to start Debian's takes fifty times as long.
func imageFFmpeg() string {
	path, _ := exec.LookPath(filepath.Join(testserver.Top(), "bin", "ffmpeg"))
	return path
}

// Remove removes the process's own, once they are built.
func (p *Programs) Remove() {
	p.once.Do(func() {})
	if p.dir != "" {
		os.RemoveAll(p.dir)
	}
}

// Path returns where a command is.
func (p *Programs) Path(tb testing.TB, name string) string {
	tb.Helper()
	if err := p.Build(); err != nil {
		tb.Fatal(err)
	}
	return filepath.Join(p.dir, name)
}

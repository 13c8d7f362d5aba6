package testsuite

import (
	"errors"
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

	mu  sync.Mutex
	dir string // this process's own; "" until they are built, and once they are removed
}

// The builds that tests run.
var (
	Release        = &Programs{name: "release"}                        // what is delivered
	WithFailpoints = &Programs{name: "failpoints", tags: "failpoints"} // the same with package failpoint awake in them
	WithoutRaces   = &Programs{name: "plain", plain: true}             // the same as Release without the race detector, which takes several times the memory
)

// Build builds the programs, unless they are.
func (p *Programs) Build() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dir != "" {
		return nil
	}
	dir, err := p.build()
	if err == nil {
		p.dir = dir
	}
	return err
}

func (p *Programs) build() (dir string, err error) {
	all := filepath.Join(testserver.Top(), "bin", "tests")
	shared := filepath.Join(all, p.name)
	if err := os.MkdirAll(shared, 0o700); err != nil {
		return "", err
	}
	lock, err := os.Open(all)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("lock %s: %w", all, err)
	}
	sweep(all)
	// Without what debuggers want, as in the images: to link it is most of the work.
	args := []string{"build", fmt.Sprintf("-race=%t", !p.plain), "-ldflags=-s -w", "-tags", p.tags, "-o", shared + string(filepath.Separator), "mp3converter/cmd/..."}
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, out)
	}
	if dir, err = os.MkdirTemp(all, fmt.Sprintf(ownNames, os.Getpid())+"*"); err != nil {
		return "", err
	}
	return dir, link(shared, dir)
}

// ownNames is what the folders of a process begin with.
const ownNames = "of-%d-"

// sweep removes the folders of processes that are gone without having done it, as those are that ran into go test's -timeout.
func sweep(all string) {
	folders, _ := os.ReadDir(all)
	for _, folder := range folders {
		var pid int
		if n, _ := fmt.Sscanf(folder.Name(), ownNames, &pid); n == 1 && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			os.RemoveAll(filepath.Join(all, folder.Name()))
		}
	}
}

// link gives the programs names in another folder: those that cmd/ has today, for of others an old build may be there.
func link(shared, dir string) error {
	mains, err := filepath.Glob(filepath.Join(testserver.Top(), "cmd", "*", "main.go"))
	for _, main := range mains {
		name := filepath.Base(filepath.Dir(main))
		if err == nil {
			err = os.Link(filepath.Join(shared, name), filepath.Join(dir, name))
		}
	}
	if ffmpeg := imageFFmpeg(); err == nil && ffmpeg != "" {
		err = os.Symlink(ffmpeg, filepath.Join(dir, "ffmpeg")) // beside them, as in the image
	}
	return err
}

// imageFFmpeg is the path of the image's ffmpeg, where it is built: to start Debian's takes fifty times as long.
func imageFFmpeg() string {
	path, _ := exec.LookPath(filepath.Join(testserver.Top(), "bin", "ffmpeg"))
	return path
}

// Remove removes the process's own, if they are built.
func (p *Programs) Remove() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dir != "" {
		os.RemoveAll(p.dir)
		p.dir = ""
	}
}

// Path returns where a command is.
func (p *Programs) Path(tb testing.TB, name string) string {
	tb.Helper()
	if err := p.Build(); err != nil {
		tb.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return filepath.Join(p.dir, name)
}

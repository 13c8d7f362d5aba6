package testsuite

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Programs are all commands, built once per test process, with the race detector in them but for those that say otherwise.
type Programs struct {
	tags  string
	plain bool

	once sync.Once
	dir  string
	err  error
}

// The builds that tests run.
var (
	Release        = &Programs{}                   // what is delivered
	WithFailpoints = &Programs{tags: "failpoints"} // the same with package failpoint awake in them
	WithoutRaces   = &Programs{plain: true}        // the same as Release without the race detector, which takes several times the memory
)

// Build builds the programs, unless they are.
func (p *Programs) Build() error {
	p.once.Do(func() {
		if p.dir, p.err = os.MkdirTemp("", "mp3c-programs-"); p.err != nil {
			return
		}
		args := []string{"build", fmt.Sprintf("-race=%t", !p.plain), "-tags", p.tags, "-o", p.dir + string(filepath.Separator), "mp3converter/cmd/..."}
		if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
			p.err = fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, out)
		}
	})
	return p.err
}

// Remove removes what was built, once it is.
func (p *Programs) Remove() {
	p.once.Do(func() {})
	os.RemoveAll(p.dir)
}

// Path returns where a command is.
func (p *Programs) Path(tb testing.TB, name string) string {
	tb.Helper()
	if err := p.Build(); err != nil {
		tb.Fatal(err)
	}
	return filepath.Join(p.dir, name)
}

//go:build failpoints

package failpoint

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// stall is longer than any lease of the tests. Whoever stalls keeps its lease, for what renews it goes on; who is frozen
// loses it.
const stall = 5 * time.Second

// errInjected is what At returns where it is told to fail.
var errInjected = errors.New("injected by FAILPOINT")

// order is what FAILPOINT says.
type order struct {
	point   Point
	action  string
	passage int64
	fired   string // FAILPOINT_FIRED
}

var (
	given  = sync.OnceValue(read)
	passed atomic.Int64
)

// At marks a point and does there what FAILPOINT says.
func At(p Point) error {
	o := given()
	if p != o.point || passed.Add(1) != o.passage || !o.claim() {
		return nil
	}
	switch o.action {
	case "kill":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "stall":
		time.Sleep(stall)
		return o.over()
	case "freeze":
		return freeze()
	default:
		return fmt.Errorf("%w at %s", errInjected, p)
	}
}

// freeze has the process stand still until it is sent SIGCONT. The signal is for this very thread: one for the process may
// stop another first, and this one would run on into what comes after the point.
func freeze() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return syscall.Tgkill(os.Getpid(), syscall.Gettid(), syscall.SIGSTOP)
}

// claim reports whether nobody has fired yet.
func (o order) claim() bool {
	f, err := os.OpenFile(o.fired, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return false
	}
	return f.Close() == nil
}

// over notes that the stall is over.
func (o order) over() error { return os.WriteFile(o.fired+Over, nil, 0o600) }

func read() order {
	text := os.Getenv("FAILPOINT")
	if text == "" {
		return order{}
	}
	point, rest, _ := strings.Cut(text, ":")
	action, n, _ := strings.Cut(rest, "@")
	passage, err := strconv.ParseInt(n, 10, 64)
	fired := os.Getenv("FAILPOINT_FIRED")
	if err != nil || fired == "" || !slices.Contains([]string{"kill", "error", "stall", "freeze"}, action) {
		panic(fmt.Sprintf("FAILPOINT=%s FAILPOINT_FIRED=%s: want POINT:kill|error|stall|freeze@PASSAGE and a file", text, fired))
	}
	return order{Point(point), action, passage, fired}
}

// Package browser drives Debian's Chromium for tests of what people see: it clicks, types, drops files and looks, as they
// do, has axe-core judge the page, and keeps pictures of it. Whatever the page's scripts or the browser complain about fails
// the test. It is for tests only.
package browser

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// patience is more than any step takes, on two cores that are busy with other tests too.
const patience = 40 * time.Second

// process is the one browser of the test process. Each Page has a profile of its own in it, as a private window has.
var process struct {
	once   sync.Once
	ctx    context.Context
	cancel context.CancelFunc
	err    error
}

func start() {
	if _, err := exec.LookPath("chromium"); err != nil {
		process.err = fmt.Errorf("%w (apt-get install chromium)", err)
		return
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath("chromium"), chromedp.Flag("mute-audio", true),
		chromedp.Flag("lang", "en-GB"), chromedp.CombinedOutput(io.Discard))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium's own rule: root gets none
	}
	allocator, _ := chromedp.NewExecAllocator(context.Background(), options...)
	process.ctx, process.cancel = chromedp.NewContext(allocator)
	process.err = chromedp.Do(process.ctx)
}

// Close ends the browser, if it was started. TestMain calls it.
func Close() {
	process.once.Do(func() {})
	if process.cancel != nil {
		_ = chromedp.Cancel(process.ctx)
	}
}

// View is how somebody looks at a page. The zero value is a desk's window, light, with scripts.
type View struct {
	Phone     bool
	Dark      bool
	NoScripts bool
}

// Page is a window.
type Page struct {
	t        testing.TB
	ctx      context.Context
	close    context.CancelFunc
	view     View
	mu       sync.Mutex
	mistakes []string
}

// Open opens an empty window that nobody has used before.
func Open(t testing.TB, v View) *Page {
	t.Helper()
	process.once.Do(start)
	if process.err != nil {
		t.Fatalf("chromium: %v", process.err)
	}
	return open(t, v, process.ctx, chromedp.WithNewBrowserContext())
}

// Another opens an empty window with the cookies and all else that this one has.
func (p *Page) Another() *Page {
	p.t.Helper()
	return open(p.t, p.view, p.ctx)
}

func open(t testing.TB, v View, from context.Context, options ...chromedp.ContextOption) *Page {
	t.Helper()
	ctx, cancel := chromedp.NewContext(from, options...)
	t.Cleanup(cancel)
	p := &Page{t: t, ctx: ctx, close: cancel}
	p.listen()
	p.must(chromedp.Do(ctx))
	p.See(v)
	if v.NoScripts {
		call(p, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	}
	t.Cleanup(p.check)
	return p
}

// Close closes the window. That of Open takes those of Another with it.
func (p *Page) Close() { p.close() }

// See changes the size and the colours.
func (p *Page) See(v View) {
	p.t.Helper()
	p.view = v
	width, height, scale, scheme := int64(1100), int64(800), 1.0, "light"
	if v.Phone {
		width, height, scale = 375, 740, 2
	}
	if v.Dark {
		scheme = "dark"
	}
	call(p, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: scale, Mobile: v.Phone})
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
}

// step returns a context for one step.
func (p *Page) step() (context.Context, context.CancelFunc) {
	return context.WithTimeout(p.ctx, patience)
}

func (p *Page) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatalf("the browser: %v", err)
	}
}

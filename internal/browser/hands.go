package browser

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"mp3converter/internal/testsuite"
)

// call sends one command to the window.
func call[P, R any](p *Page, command cdp.Command[P, R], params P) {
	p.t.Helper()
	ctx, cancel := p.step()
	defer cancel()
	_, err := chromedp.Call(ctx, command, params)
	p.must(err)
}

// Eval returns what an expression comes to; a promise is waited for.
func Eval[T any](p *Page, js string) T {
	p.t.Helper()
	v, err := eval[T](p, js)
	if err != nil {
		p.t.Fatalf("%s: %v", js, err)
	}
	return v
}

func eval[T any](p *Page, js string) (T, error) {
	ctx, cancel := p.step()
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](js, chromedp.EvalAwaitPromise))
}

// Await waits until the expression is true. While a page is being left nothing is. If it never is, a picture is kept of what
// is there instead.
func (p *Page) Await(what, js string) {
	p.t.Helper()
	const pause = 50 * time.Millisecond
	for deadline := time.Now().Add(patience); ; time.Sleep(pause) {
		so, err := eval[bool](p, "!!("+js+")")
		if err == nil && so {
			return
		}
		if p.ctx.Err() != nil || time.Now().After(deadline) {
			p.Shot("missing")
			p.t.Fatalf("not after %v: %s (%v). In its place, and in bin/screenshots/missing.png:\n%s", patience, what, err, p.Text("body"))
		}
	}
}

func quote(s string) string {
	quoted, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string marshals
	}
	return string(quoted)
}

// LogIn fills in the page's form to log in until the selector finds the text. Where many log in at once on a busy machine, one is
// told to try again later, and does.
func (p *Page) LogIn(email, password, selector, text string) {
	p.t.Helper()
	const later, tries = "try again later", 20
	for range tries {
		p.Fill("#email", email)
		p.Fill("#password", password)
		Eval[bool](p, "document.querySelector('[role=alert]')?.remove(), true") // the last try's
		p.Click("button.main")
		p.Await(selector+" shows "+text, shows(selector, text)+" || "+shows("[role=alert]", later))
		if !Eval[bool](p, shows("[role=alert]", later)) {
			return
		}
	}
	p.t.Fatalf("%d logins were put off", tries)
}

// Shows waits until what the selector finds has the text in it and can be seen.
func (p *Page) Shows(selector, text string) {
	p.t.Helper()
	p.Await(selector+" shows "+text, shows(selector, text))
}

// shows is the question for a text that is to be seen.
func shows(selector, text string) string {
	return "[...document.querySelectorAll(" + quote(selector) + ")].some((e) => e.checkVisibility() && e.innerText.includes(" + quote(text) + "))"
}

// Text is what a reader sees of the element.
func (p *Page) Text(selector string) string {
	p.t.Helper()
	return Eval[string](p, "document.querySelector("+quote(selector)+").innerText")
}

// Go loads an address.
func (p *Page) Go(url string) {
	p.t.Helper()
	ctx, cancel := p.step()
	defer cancel()
	p.must(chromedp.Do(ctx, chromedp.Navigate(url)))
}

// Click waits until an element is to be seen, scrolls to it and clicks it with the mouse.
func (p *Page) Click(selector string) {
	p.t.Helper()
	p.Await(selector+" is to be seen", "document.readyState === 'complete' && document.querySelector("+quote(selector)+")?.checkVisibility()")
	at := p.middle(selector)
	ctx, cancel := p.step()
	defer cancel()
	p.must(chromedp.Do(ctx, chromedp.MouseClickXY(at.X, at.Y)))
}

// point is in CSS pixels of the window.
type point struct{ X, Y float64 }

// middle scrolls an element into the window and returns where its middle is.
func (p *Page) middle(selector string) point {
	p.t.Helper()
	return Eval[point](p, "(() => { const e = document.querySelector("+quote(selector)+"); e.scrollIntoView({block: 'center', behavior: 'instant'}); "+
		"const r = e.getBoundingClientRect(); return {X: r.x + r.width / 2, Y: r.y + r.height / 2}; })()")
}

// Type types a text where the focus is.
func (p *Page) Type(text string) {
	p.t.Helper()
	ctx, cancel := p.step()
	defer cancel()
	p.must(chromedp.Do(ctx, chromedp.KeyEvent(text)))
}

// Fill clicks a field and types into it.
func (p *Page) Fill(selector, text string) {
	p.t.Helper()
	p.Click(selector)
	p.Type(text)
}

// TabTo presses the tabulator until the focus is on what a screen reader would call by that name, which is to be seen then
// and has to be ahead of where the focus was.
func (p *Page) TabTo(name string) {
	p.t.Helper()
	const most = 20
	var passed []string
	for range most {
		p.Type("\t")
		at := Eval[struct {
			Name string
			Seen bool
		}](p, `(() => {
			const e = document.activeElement, label = e.labels?.length && e.tagName !== 'BUTTON' ? e.labels[0].innerText : '';
			const name = e.ariaLabel || label || e.textContent, outline = [e, e.parentElement].map((x) => getComputedStyle(x).outlineStyle);
			return {Name: name.replace(/\s+/g, ' ').trim(), Seen: outline.some((o) => o !== 'none')};
		})()`)
		if at.Name == name {
			if !at.Seen {
				p.t.Errorf("the focus on %q cannot be seen", name)
			}
			return
		}
		passed = append(passed, at.Name)
	}
	p.t.Fatalf("%q is not reached by tabulator, but %q are", name, passed)
}

// Hide has the page think that nobody sees it, as another tab in front does.
func (p *Page) Hide(hidden bool) {
	p.t.Helper()
	Eval[bool](p, fmt.Sprintf("Object.defineProperty(document, 'hidden', {value: %t, configurable: true}); document.dispatchEvent(new Event('visibilitychange'))", hidden))
}

// Choose gives files to a field, as the browser's own dialog does. Where a page has only just taken another's place, the browser may
// still look for the field there.
func (p *Page) Choose(selector string, files ...string) {
	p.t.Helper()
	p.Await(selector+" is there", "document.readyState === 'complete' && document.querySelector("+quote(selector)+") !== null")
	choose := func() error {
		ctx, cancel := p.step()
		defer cancel()
		return chromedp.Do(ctx, chromedp.SetUploadFiles(chromedp.CSS(selector), files))
	}
	err := choose()
	if err != nil && strings.Contains(err.Error(), "Could not find node") {
		err = choose()
	}
	p.must(err)
}

// Drag carries files from the desk over the element, and leaves them in the air.
func (p *Page) Drag(selector string, files ...string) (drop func()) {
	p.t.Helper()
	at := p.middle(selector)
	event := func(kind input.DispatchDragEventType) {
		p.t.Helper()
		const copying = 1
		call(p, input.DispatchDragEvent, input.DispatchDragEventParams{
			Type: kind, X: at.X, Y: at.Y, Data: &input.DragData{Items: []*input.DragDataItem{}, Files: files, DragOperationsMask: copying},
		})
	}
	event("dragEnter")
	event("dragOver")
	return func() { event("drop") }
}

// Downloads has the window save what it downloads, and returns a function that waits for the file of that name.
func (p *Page) Downloads() (saved func(name string) []byte) {
	p.t.Helper()
	dir := p.t.(*testing.T).TempDir()
	ctx, cancel := p.step()
	defer cancel()
	_, err := chromedp.CallBrowser(ctx, cdpbrowser.SetDownloadBehavior, cdpbrowser.SetDownloadBehaviorParams{
		Behavior: cdpbrowser.SetDownloadBehaviorBehaviorAllow, DownloadPath: dir, BrowserContextID: chromedp.FromContext(p.ctx).BrowserContextID,
	})
	p.must(err)
	return func(name string) []byte {
		p.t.Helper()
		return testsuite.Awaited(p.t, name+" is downloaded", func() ([]byte, bool) {
			data, err := os.ReadFile(filepath.Join(dir, name)) // it has another name until it is whole
			return data, err == nil
		})
	}
}

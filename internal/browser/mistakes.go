package browser

import (
	"fmt"
	"strings"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// listen notes what scripts throw and what the browser reports, as a breach of the page's Content-Security-Policy. That a
// request was refused or came to nothing is no mistake: tests do that on purpose. A page that asks whether it may be left
// may be.
func (p *Page) listen() {
	p.must(chromedp.Listen(p.ctx, func(event any) {
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			text := e.ExceptionDetails.Text
			if e.ExceptionDetails.Exception != nil {
				text += " " + e.ExceptionDetails.Exception.Description
			}
			p.note("exception: %s", text)
		case *log.EventEntryAdded:
			if e.Entry.Level == log.EntryLevelError && e.Entry.Source != log.EntrySourceNetwork && e.Entry.Source != log.EntrySourceIntervention {
				p.note("%s: %s", e.Entry.Source, e.Entry.Text)
			}
		case *page.EventJavascriptDialogOpening:
			go func() { // not in the loop that reads events
				_, _ = chromedp.Call(p.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: true})
			}()
		}
	}))
}

func (p *Page) note(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mistakes = append(p.mistakes, fmt.Sprintf(format, args...))
}

func (p *Page) check() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.mistakes) > 0 {
		p.t.Errorf("the browser complains:\n%s", strings.Join(p.mistakes, "\n"))
	}
}

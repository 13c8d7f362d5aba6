package browser

import (
	"os"
	"path/filepath"

	"github.com/chromedp/chromedp"

	"mp3converter/internal/testserver"
)

// Shot keeps a picture of the whole page as bin/screenshots/NAME.png, for people to look at.
func (p *Page) Shot(name string) {
	p.t.Helper()
	ctx, cancel := p.step()
	defer cancel()
	const png = 100
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(png))
	p.must(err)
	dir := filepath.Join(filepath.Dir(filepath.Dir(testserver.Tool("any"))), "bin", "screenshots")
	p.must(os.MkdirAll(dir, 0o755))
	p.must(os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644))
}

// Shots keeps it at a desk and on a phone, in light and in dark: NAME-desk-light and so on.
func (p *Page) Shots(name string) {
	p.t.Helper()
	was := p.view
	defer p.See(was)
	for _, look := range []struct {
		name string
		View
	}{{"desk-light", View{}}, {"desk-dark", View{Dark: true}}, {"phone-light", View{Phone: true}}, {"phone-dark", View{Phone: true, Dark: true}}} {
		p.See(look.View)
		p.Shot(name + "-" + look.name)
	}
}

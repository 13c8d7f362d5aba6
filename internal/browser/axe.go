package browser

import (
	"fmt"
	"os"
	"strings"
	"sync"

	"mp3converter/internal/testserver"
)

// axe is axe-core, which judges pages by the Web Content Accessibility Guidelines as far as a program can.
var axe = sync.OnceValues(func() (string, error) {
	script, err := os.ReadFile(testserver.Tool("axe.min.js"))
	if err != nil {
		return "", fmt.Errorf("%w (run: make tools)", err)
	}
	return string(script), nil
})

// violation is a rule that the page breaks.
type violation struct {
	ID, Impact, Help string
	Nodes            []struct {
		HTML           string `json:"html"`
		FailureSummary string `json:"failureSummary"`
	}
}

// IsAccessible fails the test unless axe-core finds nothing wrong with the page as it is, at levels A and AA and by what it
// calls best practices, in light and in dark. It counts what is in scroll as well as what is in sight.
func (p *Page) IsAccessible() {
	p.t.Helper()
	script, err := axe()
	p.must(err)
	was := p.view
	defer p.See(was)
	for name, dark := range map[string]bool{"light": false, "dark": true} {
		look := was
		look.Dark = dark
		p.See(look)
		Eval[bool](p, script+"; true")
		for _, v := range Eval[[]violation](p, "axe.run({resultTypes: ['violations']}).then((r) => r.violations)") {
			var places []string
			for _, n := range v.Nodes {
				places = append(places, n.HTML+"\n"+n.FailureSummary)
			}
			p.t.Errorf("%s: %s (%s): %s\n%s", name, v.ID, v.Impact, v.Help, strings.Join(places, "\n"))
		}
	}
}

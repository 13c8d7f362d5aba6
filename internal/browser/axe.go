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
// calls best practices. In the other colours, light or dark, it looks at contrast again, which is all that changes with them.
func (p *Page) IsAccessible() {
	p.t.Helper()
	script, err := axe()
	p.must(err)
	was := p.view
	defer p.See(was)
	Eval[bool](p, script+"; true")
	p.judge("as seen", "{resultTypes: ['violations']}")
	other := was
	other.Dark = !was.Dark
	p.See(other)
	p.judge("in the other colours", "{resultTypes: ['violations'], runOnly: ['color-contrast']}")
}

func (p *Page) judge(how, options string) {
	p.t.Helper()
	for _, v := range Eval[[]violation](p, "axe.run("+options+").then((r) => r.violations)") {
		var places []string
		for _, n := range v.Nodes {
			places = append(places, n.HTML+"\n"+n.FailureSummary)
		}
		p.t.Errorf("%s: %s (%s): %s\n%s", how, v.ID, v.Impact, v.Help, strings.Join(places, "\n"))
	}
}

package openapi

import (
	"html"
	"html/template"
	"regexp"
	"strings"
)

var (
	code  = regexp.MustCompile("`([^`]+)`")
	blank = regexp.MustCompile(`\n\s*\n`)
)

// prose makes HTML of the little of CommonMark that our descriptions use: paragraphs, lists of one level, and code.
func prose(text string) template.HTML {
	var b strings.Builder
	for _, paragraph := range blank.Split(strings.TrimSpace(text), -1) {
		if paragraph == "" {
			continue
		}
		if rest, isList := strings.CutPrefix(paragraph, "- "); isList {
			b.WriteString("<ul>")
			for _, item := range strings.Split(rest, "\n- ") {
				b.WriteString("<li>" + inline(item) + "</li>")
			}
			b.WriteString("</ul>")
			continue
		}
		b.WriteString("<p>" + inline(paragraph) + "</p>")
	}
	return template.HTML(b.String()) //nolint:gosec // inline has escaped it
}

func inline(text string) string {
	return code.ReplaceAllString(html.EscapeString(text), "<code>$1</code>")
}

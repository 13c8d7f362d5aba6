package notification

import (
	"embed"
	"fmt"
	html "html/template"
	"strings"
	text "text/template"
	"unicode"
	"unicode/utf8"

	"mp3converter/internal/job"
)

//go:embed letters/*.txt letters/*.html
var letters embed.FS

var (
	texts = text.Must(text.ParseFS(letters, "letters/*.txt"))
	pages = html.Must(html.New("").Funcs(html.FuncMap{"sentence": sentence}).ParseFS(letters, "letters/*.html"))
)

// write gives the letter its two bodies, which say the same.
func write(l job.Letter, name string, content any) (job.Letter, error) {
	var plain, page strings.Builder
	if err := texts.ExecuteTemplate(&plain, name+".txt", content); err != nil {
		return job.Letter{}, fmt.Errorf("write mail %s: %w", l.MessageID, err)
	}
	if err := pages.ExecuteTemplate(&page, name+".html", content); err != nil {
		return job.Letter{}, fmt.Errorf("write mail %s: %w", l.MessageID, err)
	}
	l.Body, l.HTML = ended(plain.String()), ended(page.String())
	return l, nil
}

// ended has one line end, and no empty line in front.
func ended(s string) string { return strings.TrimSpace(s) + "\n" }

// sentence makes one of a clause.
func sentence(clause string) string {
	first, n := utf8.DecodeRuneInString(clause)
	return string(unicode.ToUpper(first)) + clause[n:] + "."
}

package openapi

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"mp3converter/internal/settings/readme"
)

// valid reports what is wrong with a document by the rules of OpenAPI 3.1: its examples are held against its schemas.
func valid(text []byte) error {
	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromData(text)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1.") {
		return fmt.Errorf("openapi: %s, want 3.1", doc.OpenAPI)
	}
	return doc.Validate(context.Background(), openapi3.EnableExamplesValidation(), openapi3.EnableSchemaFormatValidation(),
		openapi3.EnableSchemaDefaultsValidation(), openapi3.EnableMultiError())
}

func TestTheDocumentIsValid(t *testing.T) {
	if err := valid(document); err != nil {
		t.Error(err)
	}
}

func TestMistakesOfADocumentAreFound(t *testing.T) {
	for name, change := range map[string][2]string{
		"a key that does not exist":     {"      operationId: login\n", "      operationId: login\n      outline: x\n"},
		"a reference to nothing":        {"'#/components/responses/NoSuchJob'", "'#/components/responses/NoJob'"},
		"a path without its parameter":  {"  /jobs/{id}:\n", "  /jobs/{job}:\n"},
		"an id twice":                   {"operationId: logout", "operationId: login"},
		"a type that does not exist":    {"type: integer\n          description: Of the conversion", "type: number of\n          description: Of the conversion"},
		"an example of another type":    {"attempts: 0\n", "attempts: none\n"},
		"an example that lacks a field": {"                state: queued\n", ""},
		"an example of no such value":   {"state: failed", "state: lost"},
		"a response without a text":     {"          description: The token has ended.\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			text := bytes.Replace(document, []byte(change[0]), []byte(change[1]), 1)
			if bytes.Equal(text, document) {
				t.Fatalf("the document has no %q any more: plant another mistake", change[0])
			}
			if err := valid(text); err == nil {
				t.Error("taken for valid")
			}
		})
	}
}

// README's table of requests is the document's list of operations.
func TestREADMEListsTheOperations(t *testing.T) {
	m, err := read(document)
	if err != nil {
		t.Fatal(err)
	}
	readme.Section(t, "operations", table(&m))
}

func table(m *model) string {
	var b strings.Builder
	b.WriteString("| request | |\n|---|---|\n")
	for _, path := range m.Paths {
		for _, e := range path.Value.methods() {
			if e.Name == "HEAD" && path.Value.Get != nil || e.Name == "OPTIONS" {
				continue
			}
			method := "`" + e.Name + "`"
			if e.Name == "GET" && path.Value.Head != nil {
				method += " or `HEAD`"
			}
			fmt.Fprintf(&b, "| %s `%s` | %s |\n", method, path.Name+query(m, path.Value, e.Value), e.Value.Summary)
		}
	}
	return b.String()
}

// query is the operation's, without values.
func query(m *model, item pathItem, op *operation) string {
	var names []string
	for _, p := range slices.Concat(item.Parameters, op.Parameters) {
		if p = m.parameter(p); p.In == "query" {
			names = append(names, p.Name+"=")
		}
	}
	if names == nil {
		return ""
	}
	return "?" + strings.Join(names, "&")
}

func TestThePageHasAllOfTheDocument(t *testing.T) {
	page, err := Render(Site{Style: "/style.css", Icon: "/icon.svg"})
	if err != nil {
		t.Fatal(err)
	}
	m, err := read(document)
	if err != nil {
		t.Fatal(err)
	}
	text := string(page.HTML)
	for _, path := range m.Paths {
		for _, e := range path.Value.methods() {
			if !strings.Contains(text, `<article id="`+e.Value.ID+`">`) {
				t.Errorf("%s %s is not on the page: is its first tag among the document's tags?", e.Name, path.Name)
			}
			if e.Value.Summary == "" || e.Value.Curl == "" {
				t.Errorf("%s %s has no summary or no x-curl", e.Name, path.Name)
			}
		}
	}
	for _, s := range m.Components.Schemas {
		if !strings.Contains(text, `<article id="schema-`+s.Name+`">`) {
			t.Errorf("the schema %s is not on the page", s.Name)
		}
	}
	for _, link := range regexp.MustCompile(`href="#([^"]+)"`).FindAllStringSubmatch(text, -1) {
		if !strings.Contains(text, ` id="`+link[1]+`"`) {
			t.Errorf("the page links to #%s, which is not on it", link[1])
		}
	}
	if strings.Contains(text, "ZgotmplZ") || strings.Contains(text, "<script") {
		t.Error("the page has a script, or what the template took for one")
	}
}

func TestProse(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "",
		"one `a<b` two":          "<p>one <code>a&lt;b</code> two</p>",
		"one\n\ntwo\n":           "<p>one</p><p>two</p>",
		"- a: `x`\n- b\n\nafter": "<ul><li>a: <code>x</code></li><li>b</li></ul><p>after</p>",
		"<script>":               "<p>&lt;script&gt;</p>",
	} {
		if got := string(prose(text)); got != want {
			t.Errorf("prose(%q) = %q, want %q", text, got, want)
		}
	}
}

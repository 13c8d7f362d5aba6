package openapi

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Page is the document for people.
type Page struct {
	HTML   []byte
	Policy string // for the header Content-Security-Policy: the site's style and the page's own, and nothing else
}

// Site is where the site's style and icon are, which the page has too.
type Site struct{ Style, Icon string }

// Render makes the page. An error is a mistake in the document, which tests find.
func Render(site Site) (Page, error) { return render(document, site) }

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string
)

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"prose": prose, "inline": func(text string) template.HTML { return template.HTML(inline(text)) }, //nolint:gosec // it escapes
	"lower": strings.ToLower, "style": func() template.CSS { return template.CSS(pageCSS) }, //nolint:gosec // our own file
}).Parse(pageHTML))

func render(text []byte, site Site) (Page, error) {
	m, err := read(text)
	if err != nil {
		return Page{}, err
	}
	var out bytes.Buffer
	if err := pageTemplate.Execute(&out, m.page(site)); err != nil {
		return Page{}, err
	}
	style := sha256.Sum256([]byte(pageCSS))
	return Page{out.Bytes(), "default-src 'none'; style-src 'self' 'sha256-" + base64.StdEncoding.EncodeToString(style[:]) +
		"'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"}, nil
}

// What the template shows. Texts are the document's.
type (
	pageView struct {
		Site                                 Site
		Title, Version, Summary, Description string
		Groups                               []groupView
		Schemes                              []row
		Every                                []row
		Schemas                              []schemaView
	}
	groupView struct {
		Name, Description string
		Paths             []pathView // for the list of contents
		Operations        []operationView
	}
	pathView struct {
		Path       string
		Operations []operationView
	}
	operationView struct {
		ID, Method, Path, Summary, Description, Curl, Auth string
		Parameters                                         []row
		Body                                               string
		Bodies                                             []contentView
		Responses                                          []responseView
	}
	responseView struct {
		Code, Text, Description string
		Headers                 []row
		Contents                []contentView
	}
	contentView struct {
		Media   string
		Type    kind
		Fields  []row
		Example string
	}
	schemaView struct {
		Name, Description string
		Type              kind
		Fields            []row
		Example           string
	}
	// row is a parameter, header, field or scheme.
	row struct {
		Name, In, Description string
		Type                  kind
		Required              bool
		Example               string
	}
)

func (m *model) page(site Site) pageView {
	v := pageView{Site: site, Title: m.Info.Title, Version: m.Info.Version, Summary: m.Info.Summary, Description: m.Info.Description, Every: m.headers(m.Every)}
	for _, tag := range m.Tags {
		all := m.operations(tag.Name)
		v.Groups = append(v.Groups, groupView{tag.Name, strings.TrimSuffix(tag.Description, "."), byPath(all), all})
	}
	for _, s := range m.Components.SecuritySchemes {
		v.Schemes = append(v.Schemes, row{Name: s.Name, Description: s.Value.Description})
	}
	for _, s := range m.Components.Schemas {
		v.Schemas = append(v.Schemas, schemaView{s.Name, s.Value.Description, m.kind(s.Value), m.fields(s.Value), sample(s.Value.Example)})
	}
	return v
}

func (m *model) operations(tag string) []operationView {
	var all []operationView
	for _, path := range m.Paths {
		for _, e := range path.Value.methods() {
			if op := e.Value; len(op.Tags) > 0 && op.Tags[0] == tag {
				all = append(all, m.operation(e.Name, path.Name, path.Value.Parameters, *op))
			}
		}
	}
	return all
}

// byPath puts those of one path together, which come one after the other.
func byPath(all []operationView) []pathView {
	var paths []pathView
	for _, op := range all {
		if n := len(paths); n > 0 && paths[n-1].Path == op.Path {
			paths[n-1].Operations = append(paths[n-1].Operations, op)
			continue
		}
		paths = append(paths, pathView{op.Path, []operationView{op}})
	}
	return paths
}

func (m *model) operation(method, path string, shared []parameter, op operation) operationView {
	v := operationView{
		ID: op.ID, Method: method, Path: path, Summary: op.Summary, Description: op.Description, Curl: op.Curl,
		Auth: m.auth(op.Security),
	}
	for _, p := range append(shared[:len(shared):len(shared)], op.Parameters...) {
		p = m.parameter(p)
		v.Parameters = append(v.Parameters, row{p.Name, p.In, p.Description, m.kindOf(p.Schema), p.Required, sample(p.Example)})
	}
	if op.RequestBody != nil {
		v.Body, v.Bodies = op.RequestBody.Description, m.contents(op.RequestBody.Content)
	}
	for _, r := range op.Responses {
		code, _ := strconv.Atoi(r.Name)
		answer := m.response(r.Value)
		v.Responses = append(v.Responses, responseView{
			r.Name, http.StatusText(code), answer.Description, m.headers(answer.Headers), m.contents(answer.Content),
		})
	}
	return v
}

// auth names the ways to show who asks.
func (m *model) auth(own *[]ordered[[]string]) string {
	if own == nil {
		own = &m.Security
	}
	var ways []string
	for _, way := range *own {
		var all []string
		for _, s := range way {
			all = append(all, s.Name)
		}
		ways = append(ways, strings.Join(all, " and "))
	}
	return strings.Join(ways, " or ")
}

func (m *model) headers(all ordered[header]) []row {
	var rows []row
	for _, h := range all {
		to := m.header(h.Value)
		rows = append(rows, row{h.Name, "", to.Description, m.kindOf(to.Schema), to.Required, sample(to.Example)})
	}
	return rows
}

func (m *model) contents(all ordered[media]) []contentView {
	var views []contentView
	for _, c := range all {
		if _, problem := all.find("application/problem+json"); problem && c.Name == "text/html" {
			continue // of an error: the page says it once
		}
		v := contentView{Media: c.Name, Type: m.kindOf(c.Value.Schema), Example: sample(c.Value.Example)}
		if s := c.Value.Schema; s != nil && s.Ref == "" {
			v.Fields = m.fields(*s)
		}
		for _, e := range c.Value.Events {
			v.Fields = append(v.Fields, row{Name: e.Name, Description: e.Value.Description, Type: m.kind(e.Value), Required: true})
		}
		views = append(views, v)
	}
	return views
}

func (m *model) fields(s schema) []row {
	var rows []row
	for _, p := range s.Properties {
		required := false
		for _, name := range s.Required {
			required = required || name == p.Name
		}
		rows = append(rows, row{Name: p.Name, Description: p.Value.Description, Type: m.kind(p.Value), Required: required})
	}
	return rows
}

// sample is an example as it would go over the wire, set for reading.
func sample(n yaml.Node) string {
	if n.IsZero() {
		return ""
	}
	if n.Kind == yaml.ScalarNode {
		return n.Value
	}
	var b strings.Builder
	inJSON(&b, &n, "")
	return b.String()
}

// inJSON keeps the document's order, which a map would lose.
func inJSON(b *strings.Builder, n *yaml.Node, indent string) {
	more := indent + "  "
	switch n.Kind {
	case yaml.MappingNode:
		b.WriteString("{")
		for i := 0; i+1 < len(n.Content); i += 2 {
			b.WriteString(comma(i) + "\n" + more + strconv.Quote(n.Content[i].Value) + ": ")
			inJSON(b, n.Content[i+1], more)
		}
		b.WriteString("\n" + indent + "}")
	case yaml.SequenceNode:
		b.WriteString("[")
		for i, item := range n.Content {
			b.WriteString(comma(i) + "\n" + more)
			inJSON(b, item, more)
		}
		b.WriteString("\n" + indent + "]")
	default:
		var value any
		_ = n.Decode(&value) // a scalar decodes
		text, _ := json.Marshal(value)
		b.Write(text)
	}
}

func comma(i int) string {
	if i == 0 {
		return ""
	}
	return ","
}

package openapi

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"
)

// model is what the page shows of a document, in the document's order.
type model struct {
	OpenAPI string
	Info    struct{ Title, Version, Summary, Description string }
	Tags    []struct{ Name, Description string }
	Paths   ordered[pathItem]
	Every   ordered[header] `yaml:"x-every-response"`

	Security   []ordered[[]string]
	Components struct {
		Schemas         ordered[schema]
		Responses       ordered[response]
		Parameters      ordered[parameter]
		Headers         ordered[header]
		SecuritySchemes ordered[scheme] `yaml:"securitySchemes"`
	}
}

type pathItem struct {
	Parameters             []parameter
	Get, Head, Post, Put   *operation
	Patch, Delete, Options *operation
}

type operation struct {
	ID                   string `yaml:"operationId"`
	Tags                 []string
	Summary, Description string
	Curl                 string `yaml:"x-curl"`
	Parameters           []parameter
	RequestBody          *struct {
		Description string
		Required    bool
		Content     ordered[media]
	} `yaml:"requestBody"`
	Responses ordered[response]
	Security  *[]ordered[[]string]
}

type parameter struct {
	Ref                   string `yaml:"$ref"`
	Name, In, Description string
	Required              bool
	Schema                *schema
	Example               yaml.Node
}

type response struct {
	Ref         string `yaml:"$ref"`
	Description string
	Headers     ordered[header]
	Content     ordered[media]
}

type header struct {
	Ref         string `yaml:"$ref"`
	Description string
	Required    bool
	Schema      *schema
	Example     yaml.Node
}

type media struct {
	Schema  *schema
	Example yaml.Node
	Events  ordered[schema] `yaml:"x-events"`
}

type scheme struct{ Type, Scheme, In, Name, Description string }

type schema struct {
	Ref                          string `yaml:"$ref"`
	Type                         words
	Format, Description, Pattern string
	Enum                         []any
	Const, Default               any
	Minimum, Maximum             *int64
	MinLength                    *int64   `yaml:"minLength"`
	MaxLength                    *int64   `yaml:"maxLength"`
	ExclusiveMinimum             *int64   `yaml:"exclusiveMinimum"`
	MaxItems                     *int64   `yaml:"maxItems"`
	AnyOf                        []schema `yaml:"anyOf"`
	OneOf                        []schema `yaml:"oneOf"`
	Items                        *schema
	Required                     []string
	Properties                   ordered[schema]
	Example                      yaml.Node
}

// words are one or several.
type words []string

func (w *words) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*w = words{n.Value}
		return nil
	}
	return n.Decode((*[]string)(w))
}

// ordered is a map in the order of its document.
type ordered[T any] []entry[T]

type entry[T any] struct {
	Name  string
	Value T
}

func (o *ordered[T]) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: not a map", n.Line)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		e := entry[T]{Name: n.Content[i].Value}
		if err := n.Content[i+1].Decode(&e.Value); err != nil {
			return err
		}
		*o = append(*o, e)
	}
	return nil
}

// get returns what a reference stands for; the zero value if it is to nothing.
func (o ordered[T]) get(ref string) T {
	value, _ := o.find(ref[strings.LastIndexByte(ref, '/')+1:])
	return value
}

func (o ordered[T]) find(name string) (value T, there bool) {
	for _, e := range o {
		if e.Name == name {
			return e.Value, true
		}
	}
	return value, false
}

func read(text []byte) (m model, err error) { return m, yaml.Unmarshal(text, &m) }

func (m *model) parameter(p parameter) parameter {
	if p.Ref != "" {
		return m.Components.Parameters.get(p.Ref)
	}
	return p
}

func (m *model) response(r response) response {
	if r.Ref != "" {
		return m.Components.Responses.get(r.Ref)
	}
	return r
}

func (m *model) header(h header) header {
	if h.Ref != "" {
		return m.Components.Headers.get(h.Ref)
	}
	return h
}

// methods are an item's operations, as they are listed.
func (p pathItem) methods() []entry[*operation] {
	var all []entry[*operation]
	for _, e := range []entry[*operation]{
		{"GET", p.Get}, {"HEAD", p.Head}, {"POST", p.Post}, {"PUT", p.Put}, {"PATCH", p.Patch}, {"DELETE", p.Delete}, {"OPTIONS", p.Options},
	} {
		if e.Value != nil {
			all = append(all, e)
		}
	}
	return all
}

// Package apitest holds what goes over the wire against openapi.yaml: every status, header, media type and body that a
// gateway answers with must be in it, and every request that it accepts. It is for tests: Transport does it for all
// requests of a client.
package apitest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"mp3converter/internal/openapi"
)

// Document is an OpenAPI document that exchanges can be held against. Objects have no properties but those in their
// schemas, unless a schema has additionalProperties: what clients are to skip, we are not to forget.
type Document struct {
	root     map[string]any
	compiler *jsonschema.Compiler

	mu      sync.Mutex
	schemas map[string]*jsonschema.Schema // by their place in the document
}

// Served is the document that the gateway serves.
var Served = sync.OnceValue(func() *Document {
	d, err := Parse(openapi.YAML())
	if err != nil {
		panic(err) // the package's own test says it better
	}
	return d
})

// place is where in the document the schemas' compiler finds it.
const place = "file:///openapi.yaml"

// Parse reads a document. Whether it is a good one is not asked.
func Parse(text []byte) (*Document, error) {
	var read any
	if err := yaml.Unmarshal(text, &read); err != nil {
		return nil, err
	}
	asJSON, err := json.Marshal(read) // so that numbers are what the compiler takes
	if err != nil {
		return nil, err
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(asJSON)))
	if err != nil {
		return nil, err
	}
	root, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("the document is %T", value)
	}
	closeObjects(root)
	d := &Document{root: root, compiler: jsonschema.NewCompiler(), schemas: map[string]*jsonschema.Schema{}}
	d.compiler.DefaultDraft(jsonschema.Draft2020)
	d.compiler.AssertFormat()
	return d, d.compiler.AddResource(place, root)
}

// closeObjects takes properties that no schema names for mistakes.
func closeObjects(node any) {
	switch node := node.(type) {
	case map[string]any:
		if _, open := node["additionalProperties"]; node["type"] == "object" && node["properties"] != nil && !open {
			node["additionalProperties"] = false
		}
		for _, child := range node {
			closeObjects(child)
		}
	case []any:
		for _, child := range node {
			closeObjects(child)
		}
	}
}

// at is a value of the document and where it is. The zero node is what is not there.
type at struct {
	path  []string
	value any
}

func (a at) String() string { return strings.Join(a.path, ".") }

// get goes down, through references.
func (d *Document) get(from at, names ...string) at {
	from = d.resolve(from)
	for _, name := range names {
		m, _ := from.value.(map[string]any)
		child, there := m[name]
		if !there {
			return at{}
		}
		from = d.resolve(at{append(slices.Clone(from.path), name), child})
	}
	return from
}

func (d *Document) top(names ...string) at { return d.get(at{value: d.root}, names...) }

func (d *Document) resolve(a at) at {
	m, _ := a.value.(map[string]any)
	ref, _ := m["$ref"].(string)
	if rest, ok := strings.CutPrefix(ref, "#/"); ok {
		return d.top(strings.Split(rest, "/")...)
	}
	return a
}

// entries are what a map of the document has, in order, references followed.
func (d *Document) entries(a at) func(yield func(string, at) bool) {
	return func(yield func(string, at) bool) {
		m, _ := a.value.(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(m)) {
			if !yield(name, d.get(a, name)) {
				return
			}
		}
	}
}

// schema compiles the schema at a place, once.
func (d *Document) schema(a at) (*jsonschema.Schema, error) {
	var pointer strings.Builder
	for _, name := range a.path {
		pointer.WriteString("/" + url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(name)))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.schemas[pointer.String()]; s != nil {
		return s, nil
	}
	s, err := d.compiler.Compile(place + "#" + pointer.String())
	if err == nil {
		d.schemas[pointer.String()] = s
	}
	return s, err
}

// fits returns why the value is not what the schema at a place wants. No schema wants nothing.
func (d *Document) fits(a at, value any) error {
	if a.value == nil {
		return nil
	}
	s, err := d.schema(a)
	if err != nil {
		return err
	}
	return s.Validate(value)
}

package openapi

import (
	"fmt"
	"slices"
	"strings"
)

// kind says in words what a value is.
type kind struct {
	Schema  string   // the name of the schema that says more
	Values  []string // all that it may be, if those are few
	Text    string   // string, integer …, with limits
	Pattern string   // a regular expression that it matches
}

func (m *model) kindOf(s *schema) kind {
	if s == nil {
		return kind{}
	}
	return m.kind(*s)
}

func (m *model) kind(s schema) kind {
	if s.Ref != "" {
		return kind{Schema: s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]}
	}
	if s.Const != nil {
		return kind{Values: []string{literal(s.Const)}}
	}
	if len(s.Enum) > 0 {
		k := kind{Text: strings.TrimPrefix(limits(s), ", ")}
		for _, v := range s.Enum {
			k.Values = append(k.Values, literal(v))
		}
		return k
	}
	if choices := slices.Concat(s.AnyOf, s.OneOf); len(choices) > 0 {
		return m.choice(choices)
	}
	text := strings.Join(s.Type, " or ")
	if s.Items != nil {
		of := m.kind(*s.Items)
		return kind{Text: "list of " + of.Text, Schema: of.Schema}
	}
	if s.Format != "" {
		text = strings.Replace(text, "string", s.Format, 1)
	}
	return kind{Text: text + limits(s), Pattern: s.Pattern}
}

// choice joins kinds: at most one of them names a schema, and one has a pattern.
func (m *model) choice(choices []schema) kind {
	var joined kind
	var texts []string
	for _, c := range choices {
		k := m.kind(c)
		if k.Schema != "" {
			joined.Schema = k.Schema
		}
		if k.Text != "" {
			texts = append(texts, k.Text)
		}
		joined.Values = append(joined.Values, k.Values...)
		joined.Pattern += k.Pattern
	}
	joined.Text = strings.Join(texts, " or ")
	if joined.Schema != "" && joined.Text != "" {
		joined.Text = "or " + joined.Text
	}
	return joined
}

func limits(s schema) string {
	var all []string
	between := func(least, most *int64, unit string) {
		switch {
		case least != nil && most != nil:
			all = append(all, fmt.Sprintf("%d to %d%s", *least, *most, unit))
		case least != nil:
			all = append(all, fmt.Sprintf("at least %d%s", *least, unit))
		case most != nil:
			all = append(all, fmt.Sprintf("at most %d%s", *most, unit))
		}
	}
	between(s.Minimum, s.Maximum, "")
	between(s.MinLength, s.MaxLength, " characters")
	if s.ExclusiveMinimum != nil {
		all = append(all, fmt.Sprintf("more than %d", *s.ExclusiveMinimum))
	}
	if s.Default != nil {
		all = append(all, fmt.Sprintf("default %v", s.Default))
	}
	if len(all) == 0 {
		return ""
	}
	return ", " + strings.Join(all, ", ")
}

func literal(v any) string {
	if v == nil {
		return "null"
	}
	return fmt.Sprint(v)
}

package apitest

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// request holds one that was accepted against its description.
func (d *Document) request(op operation, x Exchange) error {
	return errors.Join(d.given(op, x), d.credentials(op, x), d.sentBody(op, x))
}

// Stray is a query parameter that tests send to see that services skip what they do not know.
const Stray = "stray"

// given holds the parameters. Headers may be there that are in no list: clients send many.
func (d *Document) given(op operation, x Exchange) error {
	var mistakes []error
	known := map[string]bool{}
	query := x.URL.Query()
	for _, parameter := range d.parameters(op) {
		m, _ := parameter.value.(map[string]any)
		name, _ := m["name"].(string)
		var values []string
		switch m["in"] {
		case "query":
			known[name] = true
			values = query[name]
		case "header":
			values = x.Sent.Values(name)
		case "path":
			values = []string{inPath(op.path, x.URL.EscapedPath(), "{"+name+"}")}
		default:
			continue
		}
		if m["required"] == true && len(values) == 0 {
			mistakes = append(mistakes, fmt.Errorf("%s: %s is required, and the request was accepted without it", parameter, name))
		}
		schema := d.get(parameter, "schema")
		if d.get(schema, "type").value == "array" {
			schema = d.get(schema, "items") // each item is a parameter of its own, as OpenAPI has it unless told otherwise
		}
		for _, v := range values {
			if v == "" && m["required"] != true {
				continue // as not given
			}
			mistakes = append(mistakes, wrap(parameter, d.fits(schema, d.read(schema, v))))
		}
	}
	for name := range query {
		if !known[name] && name != Stray {
			mistakes = append(mistakes, fmt.Errorf("%s: the query parameter %s is missing under parameters", op.at, name))
		}
	}
	return errors.Join(mistakes...)
}

// inPath is what stands in a path for a segment of its template.
func inPath(template, escapedPath, segment string) string {
	i := slices.Index(strings.Split(template, "/"), segment)
	if i < 0 {
		return ""
	}
	value, _ := url.PathUnescape(strings.Split(escapedPath, "/")[i]) // it matched
	return value
}

// credentials: one of the operation's ways to show who asks must have been taken.
func (d *Document) credentials(op operation, x Exchange) error {
	security := d.get(op.at, "security")
	if security.value == nil {
		security = d.top("security")
	}
	ways, _ := security.value.([]any)
	for _, way := range ways {
		needed, _ := way.(map[string]any)
		all := true
		for name := range needed {
			all = all && d.shows(d.top("components", "securitySchemes", name), x)
		}
		if all {
			return nil
		}
	}
	if len(ways) == 0 {
		return nil
	}
	return fmt.Errorf("%s: accepted without any of the credentials under security", op.at)
}

// shows reports whether a request has a scheme's credentials.
func (d *Document) shows(scheme at, x Exchange) bool {
	m, _ := scheme.value.(map[string]any)
	name, _ := m["name"].(string)
	switch m["type"] {
	case "http":
		given, _, _ := strings.Cut(x.Sent.Get("Authorization"), " ")
		return strings.EqualFold(given, fmt.Sprint(m["scheme"]))
	case "apiKey":
		switch m["in"] {
		case "cookie":
			_, err := (&http.Request{Header: x.Sent}).Cookie(name)
			return err == nil
		case "query":
			return x.URL.Query().Has(name)
		case "header":
			return x.Sent.Get(name) != ""
		}
	}
	return false
}

// sentBody holds what was sent against the request's schema, if it is JSON or a form that is no file's.
func (d *Document) sentBody(op operation, x Exchange) error {
	body := d.get(op.at, "requestBody")
	given := x.Sent.Get("Content-Type")
	if given == "" {
		if required, _ := d.get(body, "required").value.(bool); required && len(x.SentBody) == 0 {
			return fmt.Errorf("%s: a body is required, and the request was accepted without one", body)
		}
		return nil
	}
	name, _, err := mime.ParseMediaType(given)
	if err != nil {
		return fmt.Errorf("%s: accepted with Content-Type %q", op.at, given)
	}
	media := d.get(body, "content", name)
	if media.value == nil {
		return fmt.Errorf("%s: accepted a body of %s, which is missing under requestBody.content", op.at, name)
	}
	var value any
	switch {
	case x.SentBody == nil:
		return nil
	case isJSON(name):
		value, err = decode(x.SentBody)
	case name == "application/x-www-form-urlencoded":
		value, err = fields(x.SentBody)
	default:
		return nil
	}
	if err != nil {
		return wrap(media, err)
	}
	return wrap(media, d.fits(d.get(media, "schema"), value))
}

func decode(body []byte) (any, error) { return jsonschema.UnmarshalJSON(bytes.NewReader(body)) }

// fields is a form as an object.
func fields(body []byte) (any, error) {
	form, err := url.ParseQuery(string(body))
	object := map[string]any{}
	for name, values := range form {
		object[name] = values[0]
	}
	return object, err
}

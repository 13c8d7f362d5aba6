package apitest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// events is the body of a stream of server-sent events. It looks at each event as it passes: by its name it must be one of
// those under x-events of the stream's media type, and its data what the schema there wants.
type events struct {
	io.ReadCloser
	document *Document
	names    at
	report   func(error) // nil has Read return it

	line []byte // as far as it has come
	name string
	data []string
}

// stream returns the body of such an answer.
func (d *Document) stream(x Exchange, body io.ReadCloser, report func(error)) io.ReadCloser {
	response, err := d.response(d.find(x.Method, x.URL.EscapedPath()), x.Status)
	names := d.get(response, "content", "text/event-stream", "x-events")
	if err != nil || names.value == nil {
		return body // it has been said, or nothing is
	}
	return &events{ReadCloser: body, document: d, names: names, report: report}
}

func (e *events) Read(p []byte) (int, error) {
	n, err := e.ReadCloser.Read(p)
	for rest := p[:n]; len(rest) > 0; {
		line, after, whole := bytes.Cut(rest, []byte("\n"))
		e.line = append(e.line, line...)
		rest = after
		if !whole {
			break
		}
		mistake := e.take(strings.TrimSuffix(string(e.line), "\r"))
		e.line = e.line[:0]
		if mistake == nil {
			continue
		}
		if e.report == nil {
			return n, mistake
		}
		e.report(mistake)
	}
	return n, err
}

// take takes in a line; an empty one ends an event.
func (e *events) take(line string) error {
	field, value, _ := strings.Cut(line, ":")
	value = strings.TrimPrefix(value, " ")
	switch {
	case line == "":
		name, data := e.name, e.data
		e.name, e.data = "", nil
		if data == nil {
			return nil // only data makes an event
		}
		return e.check(name, strings.Join(data, "\n"))
	case field == "event":
		e.name = value
	case field == "data":
		e.data = append(e.data, value)
	}
	return nil
}

func (e *events) check(name, data string) error {
	schema := e.document.get(e.names, name)
	if schema.value == nil {
		return fmt.Errorf("the event %q is missing under x-events of text/event-stream in internal/openapi/openapi.yaml", name)
	}
	value, err := decode([]byte(data))
	if err == nil {
		err = e.document.fits(schema, value)
	}
	return wrap(schema, err)
}

func isStream(h http.Header) bool {
	return strings.HasPrefix(h.Get("Content-Type"), "text/event-stream")
}

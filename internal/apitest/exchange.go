package apitest

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Exchange is a request and its answer.
type Exchange struct {
	Method   string
	URL      *url.URL
	Sent     http.Header
	SentBody []byte // nil if it was not kept

	Status int
	Got    http.Header
	Body   []byte // nil if it was not kept
}

// Check returns what the document lacks of an exchange, or what it says otherwise, a line for each. A request that was
// refused may be anything.
func (d *Document) Check(x Exchange) error {
	if x.Status >= http.StatusBadRequest {
		return d.CheckAnswer(x)
	}
	return errors.Join(d.CheckAnswer(x), x.mistake(d.request(d.find(x.Method, x.URL.EscapedPath()), x)))
}

// CheckAnswer is Check for the answer alone.
func (d *Document) CheckAnswer(x Exchange) error {
	if x.Got.Get("X-Request-Id") == "" && slices.Contains(unread, x.Status) {
		return nil
	}
	response, err := d.response(d.find(x.Method, x.URL.EscapedPath()), x.Status)
	if err == nil {
		err = errors.Join(d.headers(response, x), d.body(response, x))
	}
	return x.mistake(err)
}

func (x Exchange) mistake(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s → %d is not as internal/openapi/openapi.yaml has it:\n%w", x.Method, x.URL.Path, x.Status, err)
}

// unread are the statuses that net/http itself answers with, before any handler: the document says it in words.
var unread = []int{
	http.StatusBadRequest, http.StatusExpectationFailed, http.StatusRequestHeaderFieldsTooLarge, http.StatusNotImplemented,
	http.StatusHTTPVersionNotSupported,
}

// response finds where an answer is described.
func (d *Document) response(op operation, status int) (at, error) {
	code := strconv.Itoa(status)
	if op.value == nil {
		elsewhere := d.top("x-elsewhere", code)
		if elsewhere.value == nil || status == http.StatusNotFound && op.path != "" {
			return at{}, errors.New("the document has no such operation")
		}
		return elsewhere, nil
	}
	response := d.get(op.at, "responses", code)
	if response.value == nil {
		return at{}, fmt.Errorf("%s: the status %s is missing", at{path: append(slices.Clone(op.at.path), "responses")}, code)
	}
	return response, nil
}

// transport are the headers that are HTTP's own affair, or, as Content-Type, described in another way.
var transport = []string{"Connection", "Content-Length", "Content-Type", "Date", "Transfer-Encoding"}

// headers holds those of an answer against those of its description and of every answer's.
func (d *Document) headers(response at, x Exchange) error {
	var mistakes []error
	declared := map[string]bool{}
	for _, list := range []at{d.top("x-every-response"), d.get(response, "headers")} {
		for name, header := range d.entries(list) {
			name = http.CanonicalHeaderKey(name)
			declared[name] = true
			values := x.Got.Values(name)
			if required, _ := d.get(header, "required").value.(bool); required && len(values) == 0 {
				mistakes = append(mistakes, fmt.Errorf("%s: the header %s is required and not there", response, name))
			}
			for _, v := range values {
				if err := d.fits(d.get(header, "schema"), d.read(d.get(header, "schema"), v)); err != nil {
					mistakes = append(mistakes, fmt.Errorf("%s: header %s: %w", response, name, err))
				}
			}
		}
	}
	for name := range x.Got {
		if !declared[name] && !slices.Contains(transport, name) {
			mistakes = append(mistakes, fmt.Errorf("%s: the header %s is missing under headers", response, name))
		}
	}
	return errors.Join(mistakes...)
}

// read takes the text of a header or parameter for what its schema has.
func (d *Document) read(schema at, text string) any {
	switch d.get(schema, "type").value {
	case "integer", "number":
		if json.Valid([]byte(text)) && !strings.ContainsAny(text, "eE") {
			return json.Number(text)
		}
	case "boolean":
		if b, err := strconv.ParseBool(text); err == nil {
			return b
		}
	}
	return text
}

// body holds an answer's against its description.
func (d *Document) body(response at, x Exchange) error {
	content := d.get(response, "content")
	given := x.Got.Get("Content-Type")
	if content.value == nil {
		if len(x.Body) > 0 {
			return fmt.Errorf("%s: there is a body of %s, and no content", response, given)
		}
		return nil
	}
	if x.Method == http.MethodHead && given == "" {
		return nil
	}
	media, err := d.media(content, given)
	if err != nil || x.Body == nil || x.Method == http.MethodHead {
		return err
	}
	return d.content(content, media, x)
}

// media finds the description of a media type.
func (d *Document) media(content at, given string) (at, error) {
	name, params, err := mime.ParseMediaType(given)
	if err != nil {
		return at{}, fmt.Errorf("%s: Content-Type %q: %w", content, given, err)
	}
	media := d.get(content, name)
	if media.value == nil {
		return at{}, fmt.Errorf("%s: the media type %s is missing", content, name)
	}
	if strings.HasPrefix(name, "text/") && params["charset"] != "utf-8" {
		return at{}, fmt.Errorf("%s: Content-Type is %q, want charset=utf-8", content, given)
	}
	return media, nil
}

// content holds a body against its schema, and a problem also against its status and what the plain text would be.
func (d *Document) content(content, media at, x Exchange) error {
	name := media.path[len(media.path)-1]
	if !isJSON(name) {
		if !strings.HasPrefix(name, "text/") {
			return nil
		}
		return wrap(media, d.fits(d.get(media, "schema"), string(x.Body)))
	}
	value, err := decode(x.Body)
	if err != nil {
		return wrap(media, err)
	}
	err = wrap(media, d.fits(d.get(media, "schema"), value))
	if name == "application/problem+json" && err == nil {
		problem := value.(map[string]any)
		if got := fmt.Sprint(problem["status"]); got != strconv.Itoa(x.Status) {
			err = fmt.Errorf("%s: the problem's status is %s", media, got)
		}
		text := d.get(content, "text/plain")
		err = errors.Join(err, wrap(text, d.fits(d.get(text, "schema"), problem["detail"])))
	}
	return err
}

func wrap(where at, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", where, err)
}

func isJSON(media string) bool {
	return media == "application/json" || strings.HasSuffix(media, "+json")
}

func itoa(n int) string { return strconv.Itoa(n) }

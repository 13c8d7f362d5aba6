package apitest

import (
	"bytes"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"mp3converter/internal/openapi"
)

const (
	id   = "6749c1b0e0a5c8f2d1b3a497"
	jobs = `{"jobs":[` + job + `],"next":null}`
	job  = `{"id":"` + id + `","state":"queued","file_name":"a.mp4","profile":"standard","progress":0,"attempts":0,"reason":null,
		"detail":null,"mail":null,"video_fid":"` + id + `","mp3_fid":null,"bytes":5,"mp3_bytes":null,"duration_seconds":null,
		"created_at":"2026-11-29T09:30:24.118Z","started_at":null,"ended_at":null,"video_until":null,"mp3_until":null}`
	problem = `{"type":"about:blank","title":"Not Found","status":404,"detail":"no such job","request_id":"4ab4d8a4f1f6b3c9"}`
)

// exchange is a good one, of method and path, with the answer's status, media type and body.
func exchange(t *testing.T, method, path string, status int, media, body string) Exchange {
	t.Helper()
	u, err := url.Parse("http://gateway" + path)
	if err != nil {
		t.Fatal(err)
	}
	x := Exchange{
		Method: method, URL: u, Sent: http.Header{"Authorization": {"Bearer a.b.c"}}, Status: status, Body: []byte(body),
		Got: http.Header{
			"X-Request-Id": {"4ab4d8a4f1f6b3c9"}, "X-Content-Type-Options": {"nosniff"}, "Referrer-Policy": {"no-referrer"},
			"Content-Security-Policy": {"default-src 'none'"}, "Cache-Control": {"no-store"}, "Date": {"today"},
		},
	}
	if media != "" {
		x.Got.Set("Content-Type", media)
	}
	return x
}

const text = "text/plain; charset=utf-8"

func TestWhatIsInTheDocumentIsTaken(t *testing.T) {
	unavailable := exchange(t, "GET", "/jobs", 503, text, "service unavailable, try again later")
	unavailable.Got.Set("Retry-After", "5")
	elsewhere := exchange(t, "PUT", "/jobs", 405, text, "method not allowed")
	elsewhere.Got.Set("Allow", "GET")
	early := Exchange{Method: "GET", URL: elsewhere.URL, Status: 431, Got: http.Header{}}
	form := exchange(t, "POST", "/upload", 200, text, "success!")
	form.Sent.Set("Content-Type", "multipart/form-data; boundary=x")
	form.Got.Set("Location", "/jobs/"+id)
	for name, x := range map[string]Exchange{
		"a list":                 exchange(t, "GET", "/jobs?limit=200&before="+id, 200, "application/json", jobs),
		"a job":                  exchange(t, "GET", "/jobs/"+id, 200, "application/json", job),
		"an upload":              form,
		"no body":                exchange(t, "DELETE", "/jobs/"+id, 204, "", ""),
		"a text":                 exchange(t, "GET", "/jobs/"+id, 404, text, "no such job"),
		"a problem":              exchange(t, "GET", "/jobs/"+id, 404, "application/problem+json", problem),
		"a bad request, refused": exchange(t, "GET", "/jobs?limit=x&y=z", 400, text, "limit must be 1 to 200 and before a job's id"),
		"with a header":          unavailable,
		"the head of a list":     exchange(t, "HEAD", "/jobs?limit=200", 200, "application/json", ""),
		"a path of nobody":       exchange(t, "GET", "/x", 404, text, "not found"),
		"a method of nobody":     elsewhere,
		"refused by net/http":    early,
	} {
		if err := Served().Check(x); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Each row plants a mistake in a good exchange.
func TestWhatIsNotInTheDocumentIsFound(t *testing.T) {
	const ofJob, ofList = "GET /jobs/" + id, "GET /jobs"
	with := func(name, value string) func(*Exchange) { return func(x *Exchange) { x.Got.Set(name, value) } }
	body := func(old, now string) func(*Exchange) {
		return func(x *Exchange) { x.Body = bytes.Replace(x.Body, []byte(old), []byte(now), 1) }
	}
	query := func(q string) func(*Exchange) { return func(x *Exchange) { x.URL.RawQuery = q } }
	for name, tt := range map[string]struct {
		good  string
		plant func(*Exchange)
		want  string
	}{
		"a status":                     {ofJob, func(x *Exchange) { x.Status = 418 }, "paths./jobs/{id}.get.responses: the status 418 is missing"},
		"a header":                     {ofJob, with("X-Cost", "5"), "the header X-Cost is missing under headers"},
		"no header where one must be":  {"POST /upload", func(x *Exchange) { x.Got.Del("Location") }, "Location is required and not there"},
		"another value of a header":    {"POST /upload", with("Location", "/job/1"), "header Location"},
		"a header that all have":       {ofJob, func(x *Exchange) { x.Got.Del("Cache-Control") }, "Cache-Control is required"},
		"a media type":                 {ofJob, with("Content-Type", "application/xml"), "the media type application/xml is missing"},
		"a text without its charset":   {"DELETE /jobs/" + id, with("Content-Type", "text/plain"), "want charset=utf-8"},
		"a field of another type":      {ofJob, body(`"progress":0`, `"progress":"0"`), "want integer"},
		"a field out of its range":     {ofJob, body(`"progress":0`, `"progress":101`), "maximum"},
		"a state that does not exist":  {ofList, body("queued", "lost"), "value must be one of"},
		"a field too many":             {ofList, body(`"progress":0`, `"progress":0,"cost":1`), "'cost' not allowed"},
		"a field too few":              {ofJob, body(`"progress":0,`, ``), "missing property 'progress'"},
		"a time that is none":          {ofJob, body("2026-11-29T09", "29.11.2026 "), "date-time"},
		"no JSON":                      {ofJob, body("{", ""), "invalid"},
		"another text":                 {"DELETE /jobs/" + id, body("no such job", "no job"), "value must be 'no such job'"},
		"a problem with another text":  {"GET /jobs/x", body("no such job", "no job"), "value must be 'no such job'"},
		"a problem of another status":  {"GET /jobs/x", body("404", "405"), "the problem's status is 405"},
		"a body where none is":         {"DELETE /jobs/" + id, func(x *Exchange) { x.Status = 204 }, "there is a body"},
		"a path":                       {ofJob, func(x *Exchange) { x.URL.Path = "/v2/jobs" }, "the document has no such operation"},
		"a method":                     {ofJob, func(x *Exchange) { x.Method = "PATCH" }, "the document has no such operation"},
		"an accepted parameter":        {ofList, query("colour=red"), "the query parameter colour is missing under parameters"},
		"a value of one":               {ofList, query("limit=201"), "maximum"},
		"none where one must be":       {"HEAD /download?fid=" + id, query(""), "fid is required"},
		"accepted without a token":     {ofJob, func(x *Exchange) { x.Sent.Del("Authorization") }, "accepted without any of the credentials"},
		"accepted with another scheme": {ofJob, func(x *Exchange) { x.Sent.Set("Authorization", "Basic x") }, "accepted without any of the credentials"},
		"a body of another type":       {"POST /upload", func(x *Exchange) { x.Sent.Set("Content-Type", "video/mp4") }, "accepted a body of video/mp4"},
		"a body that nobody asked for": {ofJob, func(x *Exchange) { x.Sent.Set("Content-Type", "application/json") }, "accepted a body of application/json"},
		"no body where one must be":    {"POST /upload", func(x *Exchange) { x.Sent.Del("Content-Type") }, "a body is required"},
		"a key that is none, accepted": {"POST /upload", func(x *Exchange) { x.Sent.Set("Idempotency-Key", "ü") }, "pattern"},
		"404 of a path that is here":   {ofJob, func(x *Exchange) { x.Method, x.Status = "PATCH", 404 }, "the document has no such operation"},
		"a 500":                        {ofJob, func(x *Exchange) { x.Status = 500 }, "the status 500 is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			x := goodExchange(t, tt.good)
			if err := Served().Check(x); err != nil {
				t.Fatalf("before the mistake: %v", err)
			}
			tt.plant(&x)
			if err := Served().Check(x); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("said: %v\nwant: %s", err, tt.want)
			}
		})
	}
}

func goodExchange(t *testing.T, operation string) Exchange {
	t.Helper()
	method, path, _ := strings.Cut(operation, " ")
	switch {
	case method == "POST":
		x := exchange(t, method, path, 200, text, "success!")
		x.Sent.Set("Content-Type", "multipart/form-data; boundary=x")
		x.Got.Set("Location", "/jobs/"+id)
		return x
	case method == "DELETE":
		return exchange(t, method, path, 404, text, "no such job")
	case method == "HEAD":
		x := exchange(t, method, path, 200, "audio/mpeg", "")
		maps.Copy(x.Got, http.Header{
			"Content-Disposition": {"inline; filename=" + id + ".mp3"}, "Etag": {`"` + id + `"`}, "Accept-Ranges": {"bytes"},
			"Last-Modified": {"Sun, 29 Nov 2026 09:30:31 GMT"}, "Content-Length": {"5"},
		})
		return x
	case path == "/jobs":
		return exchange(t, method, path, 200, "application/json", jobs)
	case path == "/jobs/x":
		return exchange(t, method, path, 404, "application/problem+json", problem)
	}
	return exchange(t, method, path, 200, "application/json", job)
}

func TestEverySchemaCompiles(t *testing.T) {
	d, err := Parse(openapi.YAML())
	if err != nil {
		t.Fatal(err)
	}
	var walk func(a at)
	walk = func(a at) {
		if a.path != nil && a.path[len(a.path)-1] == "schema" {
			if _, err := d.schema(a); err != nil {
				t.Errorf("%s: %v", a, err)
			}
			return
		}
		for _, child := range d.entries(a) {
			walk(child)
		}
	}
	walk(d.top("paths"))
	walk(d.top("components", "responses"))
	walk(d.top("components", "headers"))
}

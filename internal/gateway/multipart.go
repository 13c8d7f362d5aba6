package gateway

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"regexp"
	"strings"

	"mp3converter/internal/job"
	"mp3converter/internal/web"
)

// What a form may have beside its file: part headers, fields, whatever is before and after.
const (
	maxFormBytes = 64 << 10
	maxParts     = 100
	maxProfile   = 1 << 10 // bytes of the field
)

// form is a multipart form with exactly one file in it, read as a stream. Once open has succeeded it is a reader of the
// file that ends with io.EOF only if the whole form is there and good, and with an error otherwise: so whoever stores a
// file only if its reader ends well stores no half form's file.
type form struct {
	Name    string      // the file's, as a label
	Type    string      // the file's media type as the client says
	Profile job.Profile // of the form's field, else as given to newForm; known when Read has returned io.EOF

	meter    *meter
	parts    *multipart.Reader
	count    int
	file     io.Reader
	bytes    int64
	maxFile  int64
	tooLarge error // for a larger one
}

func newForm(body io.Reader, boundary string, maxFile int64, profile job.Profile) *form {
	// Few large reads from the connection; the multipart reader makes many small ones.
	m := &meter{src: bufio.NewReaderSize(body, 64<<10), left: maxFormBytes}
	// The multipart reader takes a body's end within a part header for the form's. So it gets to see no end: only another
	// line end, for the closing boundary may have none.
	endless := io.MultiReader(m, strings.NewReader("\r\n"), cut{})
	return &form{meter: m, parts: multipart.NewReader(endless, boundary), maxFile: maxFile, tooLarge: errTooLarge, Profile: profile}
}

type cut struct{}

func (cut) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// A boundary is RFC 2046's, 5.1.1. One that is given twice, or in RFC 2231's pieces, others may read in another way.
var (
	boundaries   = regexp.MustCompile(`(?i);[ \t]*boundary[ \t]*[*=]`)
	goodBoundary = regexp.MustCompile(`^[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]$`)
)

// boundaryOf returns the boundary of a form; without one the request has no file.
func boundaryOf(h http.Header) (string, error) {
	types := h.Values("Content-Type")
	if len(types) != 1 {
		return "", errNotOneFile
	}
	media, params, err := mime.ParseMediaType(types[0])
	if err != nil || media != "multipart/form-data" || params["boundary"] == "" {
		return "", errNotOneFile
	}
	given := boundaries.FindAllString(types[0], -1)
	if len(given) != 1 || strings.HasSuffix(given[0], "*") || !goodBoundary.MatchString(params["boundary"]) {
		return "", errBadForm
	}
	return params["boundary"], nil
}

// open reads up to the file's first byte.
func (f *form) open() error {
	part, err := f.nextFile()
	if err == io.EOF { //nolint:errorlint // nextFile's own word for the form's good end
		return errNotOneFile
	}
	if err != nil {
		return err
	}
	f.Name, f.Type, f.file = job.CleanName(part.name), mediaType(part.header), part
	return nil
}

// Read reads the file.
func (f *form) Read(p []byte) (int, error) {
	n, err := f.file.Read(p)
	f.bytes += int64(n)
	f.meter.left += int64(n)
	switch {
	case f.bytes > f.maxFile:
		return n, f.tooLarge
	case err == io.EOF:
		return n, f.finish()
	case err != nil:
		return n, f.why(err)
	}
	return n, nil
}

// finish reads the rest of the form and returns io.EOF if all is well.
func (f *form) finish() error {
	_, err := f.nextFile()
	switch {
	case err == nil:
		return errNotOneFile
	case err == io.EOF && f.bytes == 0: //nolint:errorlint // nextFile's own word
		return errEmpty
	}
	return err
}

// filePart is a part with a file in it.
type filePart struct {
	io.Reader
	name   string
	header textproto.MIMEHeader
}

// nextFile advances to the next file and takes in the fields on the way. After the whole body it returns io.EOF.
func (f *form) nextFile() (*filePart, error) {
	for {
		part, err := f.parts.NextRawPart() // raw: nobody means quoted-printable in a form, and videos are not
		if err == io.EOF {                 // bare, at the closing boundary; a wrapped one is a body cut short
			return nil, f.drain()
		}
		if err != nil {
			return nil, f.why(err)
		}
		if f.count++; f.count > maxParts {
			return nil, errFormSize
		}
		if strings.HasPrefix(mediaType(part.Header), "multipart/") { // RFC 7578, 4.3: nobody is to send it
			return nil, errBadForm
		}
		name, isFile := fileName(part.Header)
		if !isFile {
			if err := f.field(part); err != nil {
				return nil, err
			}
			continue
		}
		var first [1]byte
		n, err := io.ReadFull(part, first[:])
		switch {
		case err == io.EOF && name == "":
			continue // a browser's file input in which nothing was chosen
		case err != nil && err != io.EOF:
			return nil, f.why(err)
		}
		return &filePart{io.MultiReader(bytes.NewReader(first[:n]), part), name, part.Header}, nil
	}
}

// field takes in a field that is no file. Unknown ones are skipped.
func (f *form) field(part *multipart.Part) error {
	if part.FormName() != "profile" {
		return nil
	}
	value, err := io.ReadAll(io.LimitReader(part, maxProfile+1))
	if err != nil {
		return f.why(err)
	}
	if len(value) > maxProfile {
		return errFormSize
	}
	f.Profile, err = parseProfile(string(value))
	return err
}

func parseProfile(name string) (job.Profile, error) {
	p, err := job.ParseProfile(name)
	if err != nil {
		return "", web.Refuse(http.StatusBadRequest, err.Error())
	}
	return p, nil
}

// drain reads what may follow the closing boundary: only then is the request's body known to be whole.
func (f *form) drain() error {
	if _, err := io.Copy(io.Discard, f.meter); err != nil {
		return f.why(err)
	}
	return io.EOF
}

// why says what has ended the form early. The multipart reader rewrites errors, so what is beneath it is asked first.
func (f *form) why(err error) error {
	if f.meter.err != nil {
		return f.meter.err
	}
	return fmt.Errorf("%w: %w", errBadForm, err)
}

// fileName returns the name of the file in a part, and whether there is one: a filename parameter makes it, an empty one
// too. What cannot be parsed, but has one, is a file without a name.
func fileName(h textproto.MIMEHeader) (name string, isFile bool) {
	disposition := h.Get("Content-Disposition")
	_, params, err := mime.ParseMediaType(disposition)
	if name, isFile = params["filename"]; isFile && err == nil {
		return name, true
	}
	lower := strings.ToLower(disposition)
	return "", err != nil && strings.Contains(lower, "filename") || strings.Contains(lower, "filename*")
}

// mediaType returns the part's media type if it is a plain one.
func mediaType(h textproto.MIMEHeader) string {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || len(media) > 100 {
		return "application/octet-stream"
	}
	return media
}

// meter passes on as many bytes as are left, and remembers why it stopped.
type meter struct {
	src  io.Reader
	left int64
	err  error
}

func (m *meter) Read(p []byte) (int, error) {
	if m.err != nil {
		return 0, m.err
	}
	if m.left <= 0 {
		m.err = errFormSize
		return 0, m.err
	}
	n, err := m.src.Read(p[:min(int64(len(p)), m.left)])
	m.left -= int64(n)
	if err != nil && err != io.EOF {
		m.err = err
	}
	return n, err
}

package gateway

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"
	"strings"
	"testing"
	"testing/iotest"

	"mp3converter/internal/job"
	"mp3converter/internal/web"
)

// readForm reads a form as upload does.
func readForm(body io.Reader, boundary string, limit int64) (*form, []byte, error) {
	f := newForm(body, boundary, limit, job.Standard)
	if err := f.open(); err != nil {
		return f, nil, err
	}
	content, err := io.ReadAll(f)
	return f, content, err
}

func TestAFormMayHaveALittleBesideItsFile(t *testing.T) {
	const file = "--b\r\nContent-Disposition: form-data; filename=\"a\"\r\n\r\nvideo\r\n"
	field := func(n int) string {
		return "--b\r\nContent-Disposition: form-data; name=x\r\n\r\n" + strings.Repeat("f", n) + "\r\n"
	}
	for name, tt := range map[string]struct {
		body string
		want error
	}{
		"50 KB before":            {field(50_000) + file + "--b--", nil},
		"50 KB after":             {file + field(50_000) + "--b--", nil},
		"70 KB before":            {field(70_000) + file + "--b--", errFormSize},
		"70 KB after":             {file + field(70_000) + "--b--", errFormSize},
		"40 KB before and after":  {field(40_000) + file + field(40_000) + "--b--", errFormSize},
		"a preamble of 70 KB":     {strings.Repeat("p\r\n", 25_000) + file + "--b--", errFormSize},
		"an epilogue of 70 KB":    {file + "--b--\r\n" + strings.Repeat("e", 70_000), errFormSize},
		"a part header of 70 KB":  {"--b\r\nX: " + strings.Repeat("h", 70_000) + file + "--b--", errFormSize},
		"100 parts":               {strings.Repeat(field(1), 99) + file + "--b--", nil},
		"101 parts":               {strings.Repeat(field(1), 100) + file + "--b--", errFormSize},
		"a file that is too long": {strings.Replace(file, "video", strings.Repeat("v", 100_001), 1) + "--b--", errTooLarge},
		"the longest file":        {strings.Replace(file, "video", strings.Repeat("v", 100_000), 1) + "--b--", nil},
		"a long second file":      {file + strings.Replace(file, "video", strings.Repeat("v", 100_000), 1) + "--b--", errNotOneFile},
		"a file in quotes":        {strings.Replace(file, "\r\n\r\n", "\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=41", 1) + "--b--", nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, content, err := readForm(strings.NewReader(tt.body), "b", 100_000)
			if !errors.Is(err, tt.want) || tt.want == nil && err != nil {
				t.Errorf("read = %v, want %v", err, tt.want)
			}
			if err == nil && !strings.Contains(tt.body, "\r\n\r\n"+string(content)+"\r\n--b") {
				t.Errorf("content = %.40q…, not byte for byte the form's", content)
			}
		})
	}
}

// What breaks a body off is what the form's reader says, however deep it was read.
func TestAFormSaysWhatBrokeItOff(t *testing.T) {
	whole := "--b\r\nContent-Disposition: form-data; name=x\r\n\r\ny\r\n" +
		"--b\r\nContent-Disposition: form-data; filename=a\r\n\r\n" + strings.Repeat("v", 100_000) + "\r\n" +
		"--b\r\nContent-Disposition: form-data; name=profile\r\n\r\nvoice\r\n--b--\r\n"
	for n := 0; n < len(whole); n++ {
		if n == 150 {
			n = 100_050 // between them there is only the file
		}
		body := io.MultiReader(strings.NewReader(whole[:n]), iotest.ErrReader(errStalled))
		if _, _, err := readForm(body, "b", 1<<20); !errors.Is(err, errStalled) {
			t.Errorf("broken after %d bytes: %v, want what broke it", n, err)
		}
		if _, _, err := readForm(strings.NewReader(whole[:n]), "b", 1<<20); err == nil && n < len(whole)-2 {
			t.Errorf("ended after %d of %d bytes: no error", n, len(whole))
		}
	}
	f, content, err := readForm(iotest.OneByteReader(strings.NewReader(whole)), "b", 1<<20)
	if err != nil || len(content) != 100_000 || f.Profile != job.Voice {
		t.Errorf("read = %d bytes, %s, %v", len(content), f.Profile, err)
	}
}

func TestWhatCountsAsAFile(t *testing.T) {
	for disposition, want := range map[string]struct {
		name string
		file bool
	}{
		`form-data; name="file"; filename="a.mp4"`:           {"a.mp4", true},
		`form-data; name="file"; filename=""`:                {"", true},
		`form-data; name="file"; FileName=a.mp4`:             {"a.mp4", true},
		`form-data; filename="a \"quoted\" b.mp4"`:           {`a "quoted" b.mp4`, true},
		`form-data; filename*=UTF-8''%c3%bc.mp4`:             {"ü.mp4", true},
		`form-data; filename*=nonsense`:                      {"", true},
		`form-data; name="file"; filename="a"; filename="b"`: {"", true},
		`form-data; name="file"; filename="a"b.mp4"`:         {"", true},
		`form-data; name="file"`:                             {"", false},
		`form-data; name="a filename"`:                       {"", false},
		`form-data`:                                          {"", false},
		``:                                                   {"", false},
		`;;;`:                                                {"", false},
	} {
		name, file := fileName(map[string][]string{"Content-Disposition": {disposition}})
		if name != want.name || file != want.file {
			t.Errorf("%s: %q, %v, want %q, %v", disposition, name, file, want.name, want.file)
		}
	}
}

// FuzzForm compares with the standard library's reader, which holds a whole form in memory: what we take for good must
// be good there too, with the same file.
func FuzzForm(f *testing.F) {
	const file = "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.mp4\"\r\n\r\n"
	for _, seed := range []string{
		file + "video\r\n--b--\r\n", file + "video\r\n--b--", file + "\r\n--b--", file + "video\r\n--b\r\n", file + "video\r\n" + file + "video\r\n--b--",
		"--b\r\nContent-Disposition: form-data; name=profile\r\n\r\nvoice\r\n" + file + "video\r\n--b--\r\nepilogue",
		"preamble\r\n" + file + "--b\r\n--c--\r\n--b--", "--b\n\nx\n--b--\n", "--b--", "", "--b\r\n\r\n--b--",
		file + "video\r\n--b \t\r\nContent-Disposition: form-data; filename=\"\"\r\n\r\n\r\n--b--",
		"--b\r\nContent-Disposition: form-data; filename*=UTF-8''%c3%bc\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=41\r\n--b--",
	} {
		f.Add([]byte(seed), "b", int64(100))
	}
	f.Fuzz(func(t *testing.T, body []byte, boundary string, limit int64) {
		form, got, err := readForm(bytes.NewReader(body), boundary, limit)
		if err != nil {
			return
		}
		if int64(len(got)) > limit || len(got) == 0 {
			t.Fatalf("took %d bytes with a limit of %d", len(got), limit)
		}
		if form.Name == "" || len(form.Name) > 255 || strings.ContainsAny(form.Name, "/\\\r\n\x00") {
			t.Fatalf("name = %q", form.Name)
		}
		whole, err := rawParts(body, boundary)
		if err != nil {
			t.Fatalf("took a form that is none: %v", err)
		}
		files := 0
		for _, p := range whole {
			if _, isFile := fileName(p.Header); isFile && len(p.content) > 0 {
				files++
				if !bytes.Equal(p.content, got) {
					t.Fatalf("file = %q, want %q", got, p.content)
				}
			}
		}
		if files != 1 {
			t.Fatalf("took a form of %d files", files)
		}
	})
}

type rawPart struct {
	*multipart.Part
	content []byte
}

func rawParts(body []byte, boundary string) (parts []rawPart, err error) {
	r := multipart.NewReader(bytes.NewReader(body), boundary)
	for {
		p, err := r.NextRawPart()
		if err == io.EOF { //nolint:errorlint // its own word for a good end
			return parts, nil
		}
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(p)
		if err != nil {
			return nil, err
		}
		parts = append(parts, rawPart{p, content})
	}
}

func TestEveryRefusalSaysSomething(t *testing.T) {
	seen := map[web.Refusal]bool{}
	for _, row := range answers {
		if row.Text == "" || row.Code < 400 || strings.HasSuffix(row.Text, ".") {
			t.Errorf("%v is answered with %d %q", row.Err, row.Code, row.Text)
		}
		seen[row.Refusal] = true
	}
	if len(seen) < len(answers)-1 { // a form cut short by the client and one by the connection look alike
		t.Errorf("%d answers, of which %d differ", len(answers), len(seen))
	}
}

package stories

import (
	"bytes"
	"fmt"
	"html"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"mp3converter/internal/testsuite"

	"mp3converter/internal/testmedia"
	"mp3converter/internal/user"
)

func theMainJob(t *testing.T, s *testsuite.Suite) {
	p := s.Someone(t)
	const name = "Überfahrt, 2. Tag.mp4"
	id := p.Upload(t, testsuite.Clip(t), name)

	mail := p.Mailed(t, 1)[0]
	j := p.Reaches(t, id, "done")
	fid := testsuite.OrEmpty(j.MP3)
	if j.FileName != name || j.Video != id || fid == id || j.Profile != "standard" || j.Progress != 100 || j.Attempts != 1 || testsuite.OrEmpty(j.Mail) != "sent" {
		t.Errorf("the job: %+v", j)
	}
	if mail.From != testsuite.Sender || mail.To != p.Email || mail.Subject != "MP3 Download" {
		t.Errorf("the mail: %+v", mail)
	}
	saysWhere(t, mail, name, fid)
	if !strings.Contains(mail.ID, id) || !strings.HasPrefix(testsuite.OrEmpty(j.Ended), mail.Date.UTC().Format("2006-01-02T15:04:05")) {
		t.Errorf("Message-ID %q and Date %v are not the job's, which ended %s", mail.ID, mail.Date, testsuite.OrEmpty(j.Ended))
	}

	mp3 := p.Download(t, fid)
	testsuite.Lasts(t, mp3, testmedia.Duration(t, testsuite.Clip(t)))
	if title := tool(t, "ffprobe", "-show_entries", "format_tags=title", "-of", "default=nokey=1:noprint_wrappers=1", mp3); title != name+"\n" {
		t.Errorf("the title tag is %q, want %q", title, name)
	}
	a := testsuite.Send(t, testsuite.Request{Base: s.URL, Path: strings.TrimPrefix(linkIn(t, mail), testsuite.BaseURL)})
	if want := "attachment; filename*=utf-8''%C3%9Cberfahrt%2C%202.%20Tag.mp3"; a.Status != http.StatusOK || a.Body != testsuite.Read(t, mp3) || a.Header.Get("Content-Disposition") != want {
		t.Errorf("the mail's link = %d, %d bytes, %q, want the same MP3 as %q", a.Status, len(a.Body), a.Header.Get("Content-Disposition"), want)
	}
	if again := p.Get(t, "/download?fid="+id); again.Status != http.StatusOK || again.Body != testsuite.Read(t, mp3) {
		t.Errorf("download by the video's id = %d, want the same MP3", again.Status)
	}
}

// saysWhere checks the mail of a job that is done.
func saysWhere(t *testing.T, mail testsuite.Letter, file, fid string) {
	t.Helper()
	want := regexp.MustCompile(`^mp3 file_id: ` + fid + ` is now ready!

File:    ` + regexp.QuoteMeta(file) + `
(Length:  [0-9.]+ s
Size:    [0-9.]+ [kM]B
)?
Download it without logging in, until [0-9]+ [A-Z][a-z]+ [0-9]{4}, [0-9:]{5} UTC:
` + regexp.QuoteMeta(testsuite.BaseURL+"/download?fid="+fid) + `&expires=[0-9]+&signature=[A-Za-z0-9_-]{64}

Download it, logged in:
` + regexp.QuoteMeta(testsuite.BaseURL+"/download?fid="+fid) + `

The MP3 is kept until [0-9]+ [A-Z][a-z]+ [0-9]{4}, [0-9:]{5} UTC\.
$`)
	if !want.MatchString(mail.Body) {
		t.Errorf("the mail:\n%s\nwant\n%s", mail.Body, want)
	}
	for _, want := range []string{"<bdi>" + file + "</bdi>", `href="` + html.EscapeString(linkIn(t, mail)) + `"`, `href="` + testsuite.BaseURL + "/download?fid=" + fid + `"`} {
		if !strings.Contains(mail.HTML, want) {
			t.Errorf("the mail's HTML lacks %q:\n%s", want, mail.HTML)
		}
	}
}

// linkIn is the mail's link that needs no login.
func linkIn(t *testing.T, mail testsuite.Letter) string {
	t.Helper()
	link := regexp.MustCompile(`(?m)^http\S+&signature=\S+$`).FindString(mail.Body)
	if link == "" {
		t.Fatalf("no link in\n%s", mail.Body)
	}
	return link
}

// shell returns a function that runs commands in a folder of their own, with vid_1.mp4 in it. A config file of curl's
// leads the contract's host to the suite, and has it wait for more than a second for word whether it may send.
func shell(t *testing.T, s *testsuite.Suite, video string) (dir string, run func(command string) string) {
	t.Helper()
	dir = t.TempDir()
	curlrc := fmt.Sprintf("silent\nshow-error\nexpect100-timeout = 60\nconnect-to = \"mp3converter.com:80:%s\"\n", strings.TrimPrefix(s.URL, "http://"))
	for name, content := range map[string]string{"vid_1.mp4": video, ".curlrc": curlrc} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir, func(command string) string {
		t.Helper()
		cmd := exec.Command("sh", "-c", command)
		cmd.Dir, cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "CURL_HOME=" + dir}
		var complaints bytes.Buffer
		cmd.Stderr = &complaints
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v (apt-get install curl, if it is missing): %s", command, err, &complaints)
		}
		return string(out)
	}
}

// The commands that users type.
const (
	curlLogin    = `curl -X POST http://mp3converter.com/login -u sid@gmail.com:sid123`
	curlUpload   = `curl -X POST -F 'file=@./vid_1.mp4' -H 'Authorization: Bearer JWT' http://mp3converter.com/upload`
	curlDownload = `curl --output mp3_download.mp3 -X GET -H 'Authorization: Bearer JWT' "http://mp3converter.com/download?fid=ID"`
)

// theCommands are run to the letter, but for the token and the id.
func theCommands(t *testing.T, s *testsuite.Suite) {
	p := sid(t, s)
	dir, run := shell(t, s, testsuite.Read(t, testsuite.Clip(t)))
	token := run(curlLogin)
	if strings.Count(token, ".") != 2 || strings.ContainsAny(token, " \r\n") {
		t.Fatalf("login printed %q, want the bare token", token)
	}
	if got := run(strings.Replace(curlUpload, "JWT", token, 1)); got != "success!" {
		t.Fatalf("upload printed %q", got)
	}
	body := p.Mailed(t, 1)[0].Body
	var fid string
	if _, err := fmt.Sscanf(body, "mp3 file_id: %24s is now ready!", &fid); err != nil {
		t.Fatalf("the mail %q: %v", body, err)
	}
	run(strings.NewReplacer("JWT", token, "ID", fid).Replace(curlDownload))
	testsuite.Lasts(t, filepath.Join(dir, "mp3_download.mp3"), testmedia.Duration(t, testsuite.Clip(t)))
}

// theRefusedVideo is large enough for curl to ask first.
func theRefusedVideo(t *testing.T, s *testsuite.Suite) {
	p := s.Someone(t)
	_, run := shell(t, s, strings.Repeat("video", 1<<20))
	for name, tt := range map[string]struct{ command, want string }{
		"a bad token":        {strings.Replace(curlUpload, "JWT", "bad", 1), "not authorized 403"},
		"an unknown profile": {strings.Replace(curlUpload, "JWT", p.Token, 1) + "?profile=loud", `profile "loud" is not one of standard, cbr128, voice, high, best 400`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := run(tt.command + ` -w ' %{http_code}, %{size_upload} bytes sent'`); got != tt.want+", 0 bytes sent" {
				t.Errorf("curl printed %q, want %q and nothing sent", got, tt.want)
			}
		})
	}
}

// sid is the original's only user: the real suite has the row from init.sql, the other one gets it here.
func sid(t *testing.T, s *testsuite.Suite) *testsuite.Person {
	t.Helper()
	const email, password = "sid@gmail.com", "sid123"
	if _, err := s.Users.Find(t.Context(), email); err != nil {
		s.Add(t, user.User{Email: email, Password: password, Admin: true})
	}
	return &testsuite.Person{Suite: s, Email: email, Password: password}
}

// theCrowd is the original's worst hour: 45 of 48 uploads at once failed.
func theCrowd(t *testing.T, s *testsuite.Suite) {
	const crowd = 12
	p := s.Someone(t)
	video := testsuite.Read(t, testmedia.Clip(t, testmedia.Spec{Seconds: 1}))
	var uploads []testsuite.Request
	for i := range crowd {
		uploads = append(uploads, p.Posting(t, "/upload", nil, testsuite.FilePart("file", fmt.Sprintf("%d.mp4", i), []byte(video))))
	}
	jobs := map[string]bool{}
	for _, a := range testsuite.AtOnce(t, uploads...) {
		a.Is(t, http.StatusOK, "success!")
		jobs[testsuite.JobOf(t, a)] = true
	}
	mp3s := map[string]bool{}
	for id := range jobs {
		j := p.Reaches(t, id, "done")
		if j.Attempts != 1 {
			t.Errorf("job %s took %d attempts", id, j.Attempts)
		}
		mp3s[testsuite.OrEmpty(j.MP3)] = true
	}
	if len(jobs) != crowd || len(mp3s) != crowd {
		t.Errorf("%d jobs with %d MP3s, want %d of each", len(jobs), len(mp3s), crowd)
	}
	p.Mailed(t, crowd)
}

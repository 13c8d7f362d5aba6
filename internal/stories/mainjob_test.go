package stories

import (
	"bytes"
	"fmt"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mp3converter/internal/testmedia"
	"mp3converter/internal/user"
)

func theMainJob(t *testing.T, s *suite) {
	p := s.someone(t)
	const name = "Überfahrt, 2. Tag.mp4"
	id := p.upload(t, clip(t), name)

	mail := p.mailed(t, 1)[0]
	j := p.reaches(t, id, "done")
	fid := orEmpty(j.MP3)
	if j.FileName != name || j.Video != id || fid == id || j.Profile != "standard" || j.Progress != 100 || j.Attempts != 1 || orEmpty(j.Mail) != "sent" {
		t.Errorf("the job: %+v", j)
	}
	want := letter{
		From: sender, To: p.email, Subject: "MP3 Download",
		Body: "mp3 file_id: " + fid + " is now ready!\n" + baseURL + "/download?fid=" + fid + "\n",
		ID:   mail.ID, Date: mail.Date,
	}
	if mail != want {
		t.Errorf("the mail:\n%+v\nwant\n%+v", mail, want)
	}
	if !strings.Contains(mail.ID, id) || !strings.HasPrefix(orEmpty(j.Ended), mail.Date.UTC().Format("2006-01-02T15:04:05")) {
		t.Errorf("Message-ID %q and Date %v are not the job's, which ended %s", mail.ID, mail.Date, orEmpty(j.Ended))
	}

	mp3 := p.download(t, fid)
	lasts(t, mp3, testmedia.Duration(t, clip(t)))
	if title := tool(t, "ffprobe", "-show_entries", "format_tags=title", "-of", "default=nokey=1:noprint_wrappers=1", mp3); title != name+"\n" {
		t.Errorf("the title tag is %q, want %q", title, name)
	}
	if again := p.get(t, "/download?fid="+id); again.status != http.StatusOK || again.body != read(t, mp3) {
		t.Errorf("download by the video's id = %d, want the same MP3", again.status)
	}
}

// shell returns a function that runs commands in a folder of their own, with vid_1.mp4 in it. A config file of curl's
// leads the contract's host to the suite.
func (s *suite) shell(t *testing.T, video string) (dir string, run func(command string) string) {
	t.Helper()
	dir = t.TempDir()
	curlrc := fmt.Sprintf("silent\nshow-error\nconnect-to = \"mp3converter.com:80:%s\"\n", strings.TrimPrefix(s.URL, "http://"))
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
func theCommands(t *testing.T, s *suite) {
	p := s.sid(t)
	dir, run := s.shell(t, read(t, clip(t)))
	token := run(curlLogin)
	if strings.Count(token, ".") != 2 || strings.ContainsAny(token, " \r\n") {
		t.Fatalf("login printed %q, want the bare token", token)
	}
	if got := run(strings.Replace(curlUpload, "JWT", token, 1)); got != "success!" {
		t.Fatalf("upload printed %q", got)
	}
	body := p.mailed(t, 1)[0].Body
	var fid string
	if _, err := fmt.Sscanf(body, "mp3 file_id: %24s is now ready!", &fid); err != nil {
		t.Fatalf("the mail %q: %v", body, err)
	}
	run(strings.NewReplacer("JWT", token, "ID", fid).Replace(curlDownload))
	lasts(t, filepath.Join(dir, "mp3_download.mp3"), testmedia.Duration(t, clip(t)))
}

// theRefusedVideo is large enough for curl to ask first.
func theRefusedVideo(t *testing.T, s *suite) {
	p := s.someone(t)
	_, run := s.shell(t, strings.Repeat("video", 1<<20))
	for name, tt := range map[string]struct{ command, want string }{
		"a bad token":        {strings.Replace(curlUpload, "JWT", "bad", 1), "not authorized 403"},
		"an unknown profile": {strings.Replace(curlUpload, "JWT", p.token, 1) + "?profile=loud", `profile "loud" is not one of standard, cbr128, voice, high, best 400`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := run(tt.command + ` -w ' %{http_code}, %{size_upload} bytes sent'`); got != tt.want+", 0 bytes sent" {
				t.Errorf("curl printed %q, want %q and nothing sent", got, tt.want)
			}
		})
	}
}

// sid is the original's only user: the real suite has the row from init.sql, the other one gets it here.
func (s *suite) sid(t *testing.T) *person {
	t.Helper()
	const email, password = "sid@gmail.com", "sid123"
	if _, err := s.Users.Find(t.Context(), email); err != nil {
		s.add(t, user.User{Email: email, Password: password, Admin: true})
	}
	return &person{suite: s, email: email, password: password}
}

// theCrowd is the original's worst hour: 45 of 48 uploads at once failed.
func theCrowd(t *testing.T, s *suite) {
	const crowd = 12
	p := s.someone(t)
	video := read(t, testmedia.Clip(t, testmedia.Spec{Seconds: 1}))
	var uploads []request
	for i := range crowd {
		uploads = append(uploads, p.posting(t, "/upload", nil, part{"file", fmt.Sprintf("%d.mp4", i), []byte(video)}))
	}
	jobs := map[string]bool{}
	for _, a := range atOnce(t, uploads...) {
		a.is(t, http.StatusOK, "success!")
		jobs[jobOf(t, a)] = true
	}
	mp3s := map[string]bool{}
	for id := range jobs {
		j := p.reaches(t, id, "done")
		if j.Attempts != 1 {
			t.Errorf("job %s took %d attempts", id, j.Attempts)
		}
		mp3s[orEmpty(j.MP3)] = true
	}
	if len(jobs) != crowd || len(mp3s) != crowd {
		t.Errorf("%d jobs with %d MP3s, want %d of each", len(jobs), len(mp3s), crowd)
	}
	p.mailed(t, crowd)
}

// lasts fails the test unless the MP3 sounds as long as it should, within 50 ms.
func lasts(t *testing.T, mp3 string, want time.Duration) {
	t.Helper()
	if got := testmedia.Duration(t, mp3); math.Abs((got - want).Seconds()) > 0.05 {
		t.Errorf("the MP3 lasts %v, the video's sound %v", got, want)
	}
}

func read(t testing.TB, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"mp3converter/internal/checker"
	"mp3converter/internal/testmedia"
	"mp3converter/internal/testsuite"
)

// ingressCap is what ingress-nginx lets through unless it is told otherwise.
const ingressCap = 1 << 20

var mailed = regexp.MustCompile(`^mp3 file_id: ([0-9a-f]{24}) is now ready!\n`)

// mainJob is what a newcomer does, by the contract's commands to the letter.
func mainJob(t *testing.T, c *cluster) {
	folder := t.TempDir()
	clip := testmedia.Clip(t, testmedia.Spec{Seconds: 60, Size: "640x360", Layout: "stereo"})
	video := testsuite.VideoOf(t, clip, "vid_1.mp4")
	if len(video.Data) <= ingressCap {
		t.Fatalf("the video has %d bytes, want more than the Ingress's default cap of %d", len(video.Data), ingressCap)
	}
	if err := os.WriteFile(filepath.Join(folder, video.Name), video.Data, 0o600); err != nil {
		t.Fatal(err)
	}

	token, _ := c.curl(t, folder, "-X", "POST", host+"/login", "-u", user+":"+password)
	c.main.token = token
	from := time.Now()
	answer, header := c.curl(t, folder, "-X", "POST", "-F", "file=@./vid_1.mp4", "-H", "Authorization: Bearer "+token, host+"/upload")
	if answer != "success!" {
		t.Fatalf("the upload was answered %q, want success!", answer)
	}
	id := jobOf(t, header)
	c.say(t, "job %s: a video of %d bytes, which sounds for %v, taken after %.1fs", id, len(video.Data), video.Sound, time.Since(from).Seconds())
	sent := video.Sent(user, "")
	sent.Status, sent.Job = 200, id
	c.history.Told(sent)

	letter := testsuite.Awaited(t, "the mail about job "+id, func() (checker.Mail, bool) { return c.letters.about(t, c, id) })
	if letter.To != user || letter.Subject != "MP3 Download" {
		t.Errorf("the mail went to %q with subject %q", letter.To, letter.Subject)
	}
	fid := mailed.FindStringSubmatch(letter.Body)
	if fid == nil {
		t.Fatalf("the mail says %q", letter.Body)
	}
	c.say(t, "mail after %.1fs: %s", time.Since(from).Seconds(), strings.SplitN(letter.Body, "\n", 2)[0])

	c.main.fid, c.main.mail = fid[1], letter.Body
	c.curl(t, folder, "--output", "mp3_download.mp3", "-X", "GET", "-H", "Authorization: Bearer "+token, host+"/download?fid="+c.main.fid)
	mp3 := filepath.Join(folder, "mp3_download.mp3")
	testsuite.Lasts(t, mp3, video.Sound)
	c.main.mp3 = []byte(testsuite.Read(t, mp3))
	var j testsuite.JobView
	c.send(t, testsuite.Request{Base: host, Path: "/jobs/" + id, Auth: "Bearer " + token}).Into(t, &j)
	if j.State != "done" || j.MP3Bytes == nil || *j.MP3Bytes != int64(len(c.main.mp3)) {
		t.Errorf("the download has %d bytes, its job says %+v", len(c.main.mp3), j)
	}
	c.say(t, "MP3 of %d bytes, which sounds for %v", len(c.main.mp3), testmedia.Duration(t, mp3))
}

// curl runs curl in the folder, as a user does whose hosts file names the Ingress, and returns the answer's body, unless
// that goes to a file, and its header. Any answer but 200 fails the test.
func (c *cluster) curl(t *testing.T, folder string, args ...string) (body string, header []byte) {
	t.Helper()
	const headers = "headers"
	cmd := exec.CommandContext(t.Context(), "curl", append([]string{"-sS", "-D", headers, "--connect-to", "::" + c.address}, args...)...)
	cmd.Dir = folder
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		t.Fatalf("curl: %v: %s", err, complaints.Bytes())
	}
	header, err := os.ReadFile(filepath.Join(folder, headers))
	if err != nil {
		t.Fatal(err)
	}
	if !ok.Match(header) {
		t.Fatalf("curl was answered %.200q %.300q", header, out.Bytes())
	}
	return out.String(), header
}

// ok is the line of a 200 that is the answer, not one that says to go on.
var ok = regexp.MustCompile(`(?m)^HTTP/\S+ 200`)

var location = regexp.MustCompile(`(?im)^location: /jobs/([0-9a-f]{24})\r?$`)

func jobOf(t *testing.T, header []byte) string {
	t.Helper()
	found := location.FindSubmatch(header)
	if found == nil {
		t.Fatalf("no Location of a job in %q", header)
	}
	return string(found[1])
}

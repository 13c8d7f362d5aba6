package gateway_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mp3converter/internal/gateway"
)

// curl runs the real one against addr and returns the status, the body and what curl said. Of itself it asks for a second whether
// it may send, and then sends: a gateway that stands still for longer would be sent what it is about to refuse.
func (r *rig) curl(addr string, args ...string) (status, body, said string) {
	r.Helper()
	program, err := exec.LookPath("curl")
	if err != nil {
		r.Fatalf("install curl: %v", err)
	}
	args = append([]string{"--silent", "--show-error", "--max-time", "60", "--expect100-timeout", "60", "--write-out", "\n%{http_code}"}, args...)
	cmd := exec.CommandContext(r.Context(), program, append(args, "http://"+addr+"/upload")...)
	var out, diagnosis bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &diagnosis
	if err := cmd.Run(); err != nil {
		fmt.Fprintf(&diagnosis, " (%v)", err)
	}
	i := strings.LastIndexByte(out.String(), '\n')
	return out.String()[i+1:], out.String()[:i], diagnosis.String()
}

// onDisk writes n bytes to a file for curl.
func (r *rig) onDisk(n int) (path string) {
	r.Helper()
	path = filepath.Join(r.TempDir(), "vid_1.mp4")
	r.must(os.WriteFile(path, bytes.Repeat([]byte("v"), n), 0o600))
	return path
}

func TestCurlDoesNotSendAVideoThatIsRefused(t *testing.T) {
	t.Parallel()
	r := start(t, func(_ *rig, cfg *gateway.Config) { cfg.MaxUpload = 6 * mega })
	small, large := r.onDisk(5*mega), r.onDisk(7*mega)
	for name, tt := range map[string]struct {
		token, path string
		more        []string
		status      string
		text        string
	}{
		"no token":         {"", small, nil, "401", "missing credentials"},
		"a bad token":      {"bad", small, nil, "403", "not authorized"},
		"not an admin":     {"guest:" + sid, small, nil, "401", "not authorized"},
		"over the limit":   {sid, large, nil, "413", "the file is too large"},
		"a bad key":        {sid, small, []string{"-H", "Idempotency-Key: ü"}, "400", "Idempotency-Key"},
		"a gzip bomb":      {sid, small, []string{"-H", "Content-Encoding: gzip"}, "415", "Content-Encoding"},
		"no form":          {sid, small, []string{"-H", "Content-Type: video/mp4"}, "400", "exactly 1 file required"},
		"accepted, to see": {sid, small, nil, "200", "success!"},
	} {
		t.Run(name, func(t *testing.T) {
			addr, sent := r.in(t).proxy()
			args := append([]string{"-H", "Authorization: Bearer " + tt.token, "-F", "file=@" + tt.path}, tt.more...)
			if tt.token == "" {
				args = args[2:]
			}
			status, body, said := r.in(t).curl(addr, args...)
			if status != tt.status || !strings.Contains(body, tt.text) || said != "" {
				t.Errorf("curl got %s %q and says %q, want %s %q", status, body, said, tt.status, tt.text)
			}
			if n := sent.Load(); (n > 5*mega) != (status == "200") || status != "200" && n > 10_000 {
				t.Errorf("curl sent %d bytes", n)
			}
		})
	}
}

// A refusal may come while the client is sending. It must be able to read the answer all the same.
func TestCurlReadsARefusalInTheMiddleOfItsVideo(t *testing.T) {
	t.Parallel()
	r := start(t, func(_ *rig, cfg *gateway.Config) { cfg.MaxUpload = 6 * mega })
	small, large := r.onDisk(3*mega), r.onDisk(20*mega)
	auth := []string{"-H", "Authorization: Bearer " + sid}
	for name, tt := range map[string]struct {
		args   []string
		status string
		text   string
	}{
		"two files":                        {[]string{"-F", "a=@" + small, "-F", "b=@" + small}, "400", "exactly 1 file required"},
		"two files, not expecting":         {[]string{"-F", "a=@" + small, "-F", "b=@" + small, "-H", "Expect:"}, "400", "exactly 1 file required"},
		"over the limit, of unknown size":  {[]string{"-F", "a=@" + large, "-H", "Transfer-Encoding: chunked"}, "413", "too large"},
		"the same, not expecting":          {[]string{"-F", "a=@" + large, "-H", "Transfer-Encoding: chunked", "-H", "Expect:"}, "413", "too large"},
		"over the limit, not expecting":    {[]string{"-F", "a=@" + large, "-H", "Expect:"}, "413", "too large"},
		"a bad token, not expecting":       {[]string{"-F", "a=@" + large, "-H", "Expect:", "-H", "Authorization: Bearer bad"}, "403", "not authorized"},
		"a form cut short by its producer": {[]string{"-H", "Content-Type: multipart/form-data; boundary=x", "--data-binary", "@" + small}, "400", "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			args := tt.args
			if !slices.Contains(args, "Authorization: Bearer bad") {
				args = append(args, auth...)
			}
			status, body, said := r.in(t).curl(r.addr, args...)
			if status != tt.status || !strings.Contains(body, tt.text) || said != "" {
				t.Errorf("curl got %s %q and says %q, want %s %q", status, body, said, tt.status, tt.text)
			}
		})
	}
	r.wantNothing()
}

func TestCurlRepeatsAnUploadWithItsKey(t *testing.T) {
	t.Parallel()
	r := start(t)
	path := r.onDisk(3 * mega)
	first := r.in(t)
	for _, more := range [][]string{nil, nil, {"-H", "Expect:"}, {"-H", "Transfer-Encoding: chunked"}} {
		args := append([]string{"-H", "Authorization: Bearer " + sid, "-H", "Idempotency-Key: k", "-F", "file=@" + path}, more...)
		status, body, said := first.curl(r.addr, args...)
		if status != "200" || body != "success!" || said != "" {
			t.Errorf("curl got %s %q and says %q", status, body, said)
		}
	}
	if n := len(r.all()); n != 1 {
		t.Errorf("%d jobs of one key", n)
	}
}

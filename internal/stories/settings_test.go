package stories

import (
	"bytes"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"mp3converter/internal/manifests"
	"mp3converter/internal/testsuite"
)

// said runs a program that is to end by itself and returns what it wrote and its exit status.
func said(t *testing.T, name string, env []string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	var out, complaints bytes.Buffer
	cmd := exec.CommandContext(t.Context(), testsuite.Release.Path(t, name), args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = append([]string{testsuite.QuickEnd}, env...), &out, &complaints
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), complaints.String(), cmd.ProcessState.ExitCode()
}

func TestHelpListsTheSettings(t *testing.T) {
	t.Parallel()
	commands := map[string][]string{"auth": {"auth user add", "auth hash"}, "gateway": {"gateway jobs list", "gateway dead list", "gateway gc"}}
	every := "OPS_LISTEN LOG_LEVEL GRACE_SECONDS"
	stores := every + " MONGODB_URI RABBITMQ_URL VIDEO_QUEUE MP3_QUEUE QUEUE_TYPE LEASE_SECONDS"
	for name, want := range map[string]string{
		"auth":         every + " LISTEN JWT_SECRET DEV MYSQL_HOST MYSQL_PORT MYSQL_USER MYSQL_PASSWORD MYSQL_DB",
		"gateway":      stores + " LISTEN AUTH_SVC_ADDRESS MAX_UPLOAD_BYTES MAX_UPLOADS STALL_SECONDS SWEEP_SECONDS",
		"converter":    stores + " WORKERS FFMPEG SANDBOX SCRATCH_DIR MAX_DURATION_SECONDS",
		"notification": stores + " GMAIL_ADDRESS GMAIL_PASSWORD SMTP_HOST SMTP_PORT SMTP_TLS MAIL_FROM BASE_URL",
		"mp3converter": every + " DATA_DIR LISTEN INBOX_LISTEN WORKERS MAX_UPLOAD_BYTES LEASE_SECONDS",
	} {
		t.Run(name, func(t *testing.T) {
			help, complaints, status := said(t, name, nil, "-h")
			if status != 0 || complaints != "" {
				t.Errorf("%s -h: status %d, standard error %q", name, status, complaints)
			}
			listed := regexp.MustCompile(`(?m)^  ([A-Z][A-Z0-9_]+) +(\S.*?)  +(\S.*)$`).FindAllStringSubmatch(help, -1)
			names := map[string]bool{}
			for _, row := range listed {
				names[row[1]] = true
			}
			for _, v := range strings.Fields(want) {
				if !names[v] {
					t.Errorf("%s -h does not list %s with its value and meaning:\n%s", name, v, help)
				}
			}
			for _, c := range commands[name] {
				if !strings.Contains(help, c) {
					t.Errorf("%s -h does not name %s:\n%s", name, c, help)
				}
			}
			if _, complaints, status := said(t, name, nil, "--nonsense"); status == 0 || !strings.Contains(complaints, "-h") {
				t.Errorf("%s --nonsense: status %d, %q", name, status, complaints)
			}
		})
	}
}

func TestAllMistakesInSettingsAreSaidAtOnce(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	stores := []string{"MONGODB_URI=mongodb://" + secret + "@127.0.0.1:1/", "RABBITMQ_URL=amqp://u:" + secret + "@127.0.0.1:1/"}
	for name, tt := range map[string]struct {
		program string
		env     []string
		want    []string // the lines after the first; all of them
	}{
		"nothing is set for auth":         {"auth", nil, []string{"JWT_SECRET", "MYSQL_HOST", "MYSQL_PASSWORD"}},
		"nothing is set for the gateway":  {"gateway", nil, []string{"AUTH_SVC_ADDRESS", "MONGODB_URI", "RABBITMQ_URL"}},
		"nothing is set for notification": {"notification", nil, []string{"MONGODB_URI", "RABBITMQ_URL", "MAIL_FROM"}},
		"a short secret": {
			"auth", []string{"JWT_SECRET=" + secret, "MYSQL_HOST=h", "MYSQL_PASSWORD=" + secret, "MYSQL_PORT=" + secret},
			[]string{"JWT_SECRET", "MYSQL_PORT"},
		},
		"mistakes of each kind": {
			"gateway", append(stores, "STALL_SECONDS=soon", "QUEUE_TYPE=mirrored", "ATTEMPTS=0", "MAX_UPLOADS=0"),
			[]string{"AUTH_SVC_ADDRESS", "STALL_SECONDS", "QUEUE_TYPE", "ATTEMPTS", "MAX_UPLOADS"},
		},
		"mistakes of a converter": {
			"converter", append(stores, "WORKERS=-1", "LEASE_SECONDS=0", "VIDEO_QUEUE=q", "MP3_QUEUE=q"),
			[]string{"WORKERS", "LEASE_SECONDS", "VIDEO_QUEUE and MP3_QUEUE"},
		},
		"mistakes of a mail server": {
			"notification", append(stores, "GMAIL_ADDRESS=me", "SMTP_PASSWORD="+secret, "SMTP_PORT=70000", "SMTP_TLS=sometimes", "SMTP_CA_FILE=/nowhere", "WORKERS=0"),
			[]string{"MAIL_FROM", "SMTP_TLS", "SMTP_CA_FILE", "SMTP_USER, SMTP_PASSWORD", "WORKERS"},
		},
		"mistakes of the one program": {
			"mp3converter", []string{"MAX_UPLOAD_BYTES=x", "WORKERS=many", "LEASE_SECONDS=-1", "ATTEMPTS=0", "LOG_LEVEL=loud", "DATA_DIR=/dev/null"},
			[]string{"MAX_UPLOAD_BYTES", "WORKERS", "LEASE_SECONDS", "ATTEMPTS", "LOG_LEVEL"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, complaints, status := said(t, tt.program, tt.env)
			first, rest, _ := strings.Cut(strings.TrimSpace(complaints), "\n")
			if status != 1 || first != tt.program+" does not start, mend its environment:" {
				t.Fatalf("status %d: %s", status, complaints)
			}
			lines := strings.Split(rest, "\n")
			for _, v := range tt.want {
				if !strings.Contains(rest, v) {
					t.Errorf("nothing is said about %s:\n%s", v, rest)
				}
			}
			if len(lines) != len(tt.want) || strings.Contains(complaints, secret) {
				t.Errorf("said:\n%s\nwant a line about each of %q, and no value", rest, tt.want)
			}
		})
	}
}

// On minikube the secrets of manifests/ are taken. Whoever reads the log is told what that means.
func TestPublishedSecretsAreWarnedOf(t *testing.T) {
	t.Parallel()
	set, err := manifests.Read()
	if err != nil {
		t.Fatal(err)
	}
	nowhere := []string{
		"OPS_LISTEN=127.0.0.1:0", "LISTEN=127.0.0.1:0", "DRAIN_SECONDS=0", "MYSQL_HOST=127.0.0.1", "MYSQL_PORT=1", "MYSQL_PASSWORD=p",
		"AUTH_SVC_ADDRESS=127.0.0.1:1", "MONGODB_URI=mongodb://127.0.0.1:1", "RABBITMQ_URL=amqp://127.0.0.1:1", "GMAIL_ADDRESS=me@example.com", "GMAIL_PASSWORD=p",
	}
	for service, secret := range map[string]string{"auth": "JWT_SECRET", "gateway": "LINK_SECRET", "notification": "LINK_SECRET"} {
		workload, _ := set.Workload(service)
		env := set.Effective(workload)
		p := testsuite.Start(t, testsuite.Release.Path(t, service), append(nowhere, "DEV="+env["DEV"], secret+"="+env[secret]))
		testsuite.Eventually(t, service+" warns of "+secret, func() bool { return p.Wrote(`"level":"WARN","msg":"` + secret + " is published") })
	}
}

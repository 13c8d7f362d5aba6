package deploy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"mp3converter/internal/testmedia"
	"mp3converter/internal/testserver"
	"mp3converter/internal/testsuite"
)

// TestThePictureOfTheDashboard draws all panels, as Grafana would ask for them, while the four services are under load, into
// the folder that DASHBOARD names: there is no Grafana here to look at the dashboard with. It takes two minutes.
func TestThePictureOfTheDashboard(t *testing.T) {
	dir := os.Getenv("DASHBOARD")
	if dir == "" {
		t.Skip("DASHBOARD names no folder for the picture")
	}
	const lasts = 100 * time.Second
	broker, metrics := rabbitWithMetrics(t)
	s := testsuite.NewServices(t, testsuite.Servers{
		MySQL: testserver.MySQL(t).Addr, Rabbit: broker.URL(), MongoDB: testserver.MongoDB(t), SMTP: testsuite.MailServer(t),
	})
	s.Programs = testsuite.WithoutRaces
	t.Cleanup(testsuite.WithoutRaces.Remove)
	s.Users = testsuite.UserTable(t, s.At.MySQL)
	s.StartAll()
	s.AllReady(t)
	prometheus := startPrometheus(t, s, metrics)
	begin := time.Now()
	load(t, s, begin.Add(lasts))
	picture := draw(readDashboard(t), func(expr string) []line { return prometheus.ask(t, expr, begin, time.Now()) })
	if err := os.WriteFile(filepath.Join(dir, "dashboard.svg"), []byte(picture), 0o600); err != nil {
		t.Fatal(err)
	}
}

// load has people upload, look and download until then: good videos, one without sound, and a message that is none.
func load(t *testing.T, s *testsuite.Services, until time.Time) {
	t.Helper()
	videos := []string{
		testmedia.Clip(t, testmedia.Spec{Seconds: 5}), testmedia.Clip(t, testmedia.Spec{Seconds: 60}), testmedia.Clip(t, testmedia.Spec{Audio: testmedia.None}),
	}
	var people sync.WaitGroup
	for i := range 3 {
		p := s.Someone(t)
		people.Go(func() {
			for n := 0; time.Now().Before(until); n++ {
				a := p.Post(t, "/upload", nil, testsuite.FilePart("file", "clip.mp4", []byte(testsuite.Read(t, videos[(n+i)%len(videos)]))))
				if a.Status != http.StatusOK {
					continue
				}
				for j := p.Job(t, testsuite.JobOf(t, a)); j.State != "done" && j.State != "failed" && time.Now().Before(until); j = p.Job(t, j.ID) {
					time.Sleep(300 * time.Millisecond)
				}
				p.Do(t, testsuite.Request{Method: "GET", Path: "/nothing"})
			}
		})
	}
	people.Go(func() {
		conn, err := amqp.Dial(s.Broker)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		time.Sleep(time.Until(until) / 2)
		if ch, err := conn.Channel(); err == nil {
			_ = ch.PublishWithContext(t.Context(), "", "video", true, false, amqp.Publishing{Body: []byte("no message")})
		}
		time.Sleep(time.Until(until))
	})
	people.Wait()
}

type prometheus struct{ url string }

// startPrometheus scrapes as servicemonitors.yaml does, every second.
func startPrometheus(t *testing.T, s *testsuite.Services, broker string) prometheus {
	t.Helper()
	config := "global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: services\n  static_configs:\n"
	for _, p := range []*testsuite.Process{s.Auth, s.Gateway, s.Converter, s.Notification} {
		config += fmt.Sprintf("  - {targets: [%q], labels: {app: %s}}\n", p.Serving(t, "ops"), p.Name)
	}
	config += fmt.Sprintf("- job_name: rabbitmq\n  metrics_path: /metrics/detailed\n  params: {family: [queue_coarse_metrics]}\n"+
		"  static_configs: [{targets: [%q], labels: {app: rabbitmq}}]\n", broker)
	dir, addr := t.TempDir(), testsuite.FreeAddr(t)
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "prometheus", "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+addr)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	testsuite.Eventually(t, "prometheus is ready", func() bool {
		a, err := testsuite.Request{Base: "http://" + addr, Path: "/-/ready"}.Try()
		return err == nil && a.Status == http.StatusOK
	})
	return prometheus{"http://" + addr}
}

// line is one series of a query.
type line struct {
	labels map[string]string
	at     []time.Time
	values []float64
}

// ask has a query answered for each second of a while.
func (p prometheus) ask(t *testing.T, expr string, from, to time.Time) []line {
	t.Helper()
	a := testsuite.Send(t, testsuite.Request{Base: p.url, Path: "/api/v1/query_range?" + url.Values{
		"query": {strings.ReplaceAll(strings.ReplaceAll(expr, "$__rate_interval", "15s"), "[15m]", "[30s]")},
		"start": {strconv.FormatInt(from.Unix(), 10)}, "end": {strconv.FormatInt(to.Unix(), 10)}, "step": {"1"},
	}.Encode()})
	var answer struct {
		Status, Error string
		Data          struct {
			Result []struct {
				Metric map[string]string
				Values [][2]any
			}
		}
	}
	if err := json.Unmarshal([]byte(a.Body), &answer); err != nil || answer.Status != "success" {
		t.Fatalf("%s: %v %s", expr, err, answer.Error)
	}
	var all []line
	for _, r := range answer.Data.Result {
		l := line{labels: r.Metric}
		for _, v := range r.Values {
			text, _ := v[1].(string)
			seconds, _ := v[0].(float64)
			if n, err := strconv.ParseFloat(text, 64); err == nil && n-n == 0 { // neither NaN nor infinite
				l.at, l.values = append(l.at, time.Unix(int64(seconds), 0)), append(l.values, n)
			}
		}
		all = append(all, l)
	}
	return all
}

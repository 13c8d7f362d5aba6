package deploy

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"mp3converter/internal/testserver"
	"mp3converter/internal/testsuite"
)

// foreign are metrics of programs that no test starts, each with the labels that we ask for.
var foreign = map[string][]string{
	"kube_deployment_status_replicas_available": {"namespace", "deployment"}, // kube-state-metrics
}

// added are labels that the scraping adds: podTargetLabels in servicemonitors.yaml.
var added = []string{"app"}

func TestAlertsAndDashboardAskForWhatIsExported(t *testing.T) {
	seen := exported(t)
	t.Run("labels are of fixed sets", seen.areFixed)
	there := seen.labels
	for name, labels := range foreign {
		there[name] = labels
	}
	asked := 0
	for where, expr := range queries(t) {
		for _, s := range selectors(expr) {
			asked++
			labels, ok := there[s.metric]
			if !ok {
				t.Errorf("%s asks for %s, which nothing exports", where, s.metric)
				continue
			}
			for _, label := range s.labels {
				if !slices.Contains(labels, label) && !slices.Contains(added, label) {
					t.Errorf("%s asks for label %s of %s, which has %v", where, label, s.metric, labels)
				}
			}
		}
	}
	if asked < 60 {
		t.Errorf("only %d metrics are asked for: are the queries read at all?", asked)
	}
}

// queries are the PromQL of all alerts and panels, by where they are.
func queries(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, g := range alerts(t) {
		for _, r := range g.Rules {
			all["alert "+r.Alert] = r.Expr
		}
	}
	for _, p := range readDashboard(t).Panels {
		for i, target := range p.Targets {
			all[fmt.Sprintf("panel %q, query %d", p.Title, i)] = target.Expr
		}
	}
	return all
}

type group struct {
	Name  string `json:"name"`
	Rules []struct {
		Alert       string            `json:"alert"`
		Expr        string            `json:"expr"`
		For         string            `json:"for,omitempty"`
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
	} `json:"rules"`
}

func alerts(t *testing.T) []group {
	t.Helper()
	var rule struct{ Spec struct{ Groups []group } }
	if err := yaml.Unmarshal(read(t, "deploy/monitoring/rules.yaml"), &rule); err != nil {
		t.Fatal(err)
	}
	return rule.Spec.Groups
}

type selector struct {
	metric string
	labels []string
}

// What of PromQL is neither a metric nor a function; and where words are labels.
var (
	notMetrics = []string{"and", "or", "unless", "bool", "offset", "on"}
	ranges     = regexp.MustCompile(`\[\$?[\w:]+\]`)
	grouping   = regexp.MustCompile(`\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)`)
	word       = regexp.MustCompile(`\b([a-zA-Z_:][\w:]*)\s*(\{[^}]*\}|\()?`)
	matcher    = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)\s*"`)
)

// selectors finds the metrics of an expression. A word that it takes for one by mistake fails the test, so it need not know
// all of PromQL.
func selectors(expr string) (all []selector) {
	expr = grouping.ReplaceAllString(ranges.ReplaceAllString(expr, ""), "")
	for _, m := range word.FindAllStringSubmatch(expr, -1) {
		if m[2] == "(" || slices.Contains(notMetrics, m[1]) {
			continue
		}
		s := selector{metric: m[1]}
		for _, l := range matcher.FindAllStringSubmatch(m[2], -1) {
			s.labels = append(s.labels, l[1])
		}
		all = append(all, s)
	}
	return all
}

// exported has a job done by the four services, and requests made that nobody expects, and returns what they and their broker show
// then.
func exported(t *testing.T) scraped {
	t.Helper()
	broker, metrics := rabbitWithMetrics(t)
	s := testsuite.NewServices(t, testsuite.Servers{
		MySQL: testserver.MySQL(t).Addr, Rabbit: broker.URL(), MongoDB: testserver.MongoDB(t), SMTP: testsuite.MailServer(t),
	})
	s.Users = testsuite.UserTable(t, s.At.MySQL)
	s.StartAll()
	s.AllReady(t)
	p := s.Someone(t)
	p.Reaches(t, p.Upload(t, testsuite.Clip(t), "clip.mp4"), "done")
	for i := range 30 {
		for _, path := range []string{"/nothing/%d", "/jobs/%d", "/jobs/6b0b27f7e0b4b96839e064%02d", "/download?fid=%d"} {
			p.Do(t, testsuite.Request{Method: []string{"GET", "POST", "BREW", "DELETE"}[i%4], Path: fmt.Sprintf(path, i)})
		}
	}

	seen := newScraped()
	for _, p := range []*testsuite.Process{s.Auth, s.Gateway, s.Converter, s.Notification} {
		ops := testsuite.Request{Base: "http://" + p.Serving(t, "ops"), Path: "/metrics"}
		testsuite.Eventually(t, p.Name+" tells of all", func() bool { // what the sweeper counts comes with its next round
			return p.Name != "gateway" || strings.Contains(scrape(t, ops), "queue_dead_letters{")
		})
		seen.note(scrape(t, ops), ours)
	}
	// As servicemonitors.yaml has it scraped. RabbitMQ counts what is in a queue every five seconds.
	testsuite.Eventually(t, "RabbitMQ tells of its queues", func() bool {
		text := scrape(t, testsuite.Request{Base: "http://" + metrics, Path: "/metrics/detailed?family=queue_coarse_metrics"})
		seen.note(text, nil)
		return strings.Contains(text, `queue="video"`)
	})
	return seen
}

func scrape(t *testing.T, r testsuite.Request) string {
	t.Helper()
	a := testsuite.Send(t, r)
	if a.Status != http.StatusOK {
		t.Fatalf("%s%s answers %d: %.300s", r.Base, r.Path, a.Status, a.Body)
	}
	return a.Body
}

// rabbitWithMetrics starts a broker with the plug-in that the official image has switched on, and returns where it serves.
func rabbitWithMetrics(t *testing.T) (broker *testserver.Rabbit, addr string) {
	t.Helper()
	broker, err := testserver.StartRabbitMQ()
	if err != nil {
		t.Fatal(err)
	}
	addr = testsuite.FreeAddr(t)
	plugins := filepath.Join(broker.Dir, "enabled_plugins")
	if err := os.WriteFile(plugins, []byte("[rabbitmq_prometheus].\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(addr, ":")
	if out, err := broker.Ctl("eval", fmt.Sprintf(`
		application:load(rabbitmq_prometheus),
		application:set_env(rabbitmq_prometheus, tcp_config, [{ip, "127.0.0.1"}, {port, %s}]),
		rabbit_plugins:ensure(%q).`, port, plugins)); err != nil {
		t.Fatal(err, out)
	}
	return broker, addr
}

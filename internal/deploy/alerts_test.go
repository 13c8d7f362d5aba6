package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestAlertsFireWhenTheyShould has Prometheus's own promtool evaluate the rules over the days of testdata/alerts.yaml.
func TestAlertsFireWhenTheyShould(t *testing.T) {
	days, err := os.ReadFile("testdata/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range alerts(t) {
		for _, r := range g.Rules {
			if !regexp.MustCompile(`alertname="` + r.Alert + `"`).Match(days) {
				t.Errorf("testdata/alerts.yaml has no day on which %s fires", r.Alert)
			}
			if s := r.Labels["severity"]; s != "page" && s != "ticket" {
				t.Errorf("%s has severity %q: does it wake somebody?", r.Alert, s)
			}
			if r.Annotations["summary"] == "" || r.Annotations["action"] == "" {
				t.Errorf("%s does not say what is wrong, or what to do", r.Alert)
			}
		}
	}
	rules, err := yaml.Marshal(map[string]any{"groups": alerts(t)})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, content := range map[string][]byte{"rules.yaml": rules, "alerts.yaml": days} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"check", "rules", "rules.yaml"}, {"test", "rules", "alerts.yaml"}} {
		cmd := exec.Command("promtool", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %v (of Debian's package prometheus): %v\n%s", args, err, out)
		}
	}
}

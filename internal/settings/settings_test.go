package settings

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mp3converter/internal/job"
)

type sample struct {
	Host   string  `env:"SAMPLE_HOST,required,notEmpty" doc:"where"`
	Secret Secret  `env:"SAMPLE_SECRET"`
	Wait   Seconds `env:"SAMPLE_WAIT_SECONDS" envDefault:"1.5" doc:"how long"`
	Count  int     `env:"SAMPLE_COUNT" envDefault:"3" doc:"how many"`
	Rules
}

func TestEveryMistakeIsSaidAtOnceByTheVariablesName(t *testing.T) {
	_, err := Load[sample]([]string{"SAMPLE_WAIT_SECONDS=soon", "SAMPLE_COUNT=many"})
	if err == nil {
		t.Fatal("Load accepted three mistakes")
	}
	for _, name := range []string{"SAMPLE_HOST", "SAMPLE_WAIT_SECONDS", "SAMPLE_COUNT"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("the error does not name %s:\n%v", name, err)
		}
	}
	for _, value := range []string{"soon", "many"} {
		if strings.Contains(err.Error(), value) {
			t.Errorf("the error shows a value, which may be a secret: %v", err)
		}
	}
}

func TestMistakesOfEitherKindAreSaidTogether(t *testing.T) {
	_, err := Load[sample]([]string{"SAMPLE_HOST=h", "SAMPLE_COUNT=many", "LEASE_SECONDS=soon", "ATTEMPTS=0"})
	want := "SAMPLE_COUNT: invalid syntax\nLEASE_SECONDS: not a number of seconds\nATTEMPTS: at least 1"
	if err == nil || err.Error() != want {
		t.Errorf("Load:\n%v\nwant\n%s", err, want)
	}
}

func TestValidateIsCalled(t *testing.T) {
	_, err := Load[sample]([]string{"SAMPLE_HOST=h", "ATTEMPTS=0"})
	if err == nil || !strings.Contains(err.Error(), "ATTEMPTS") {
		t.Errorf("Load with ATTEMPTS=0: %v, want an error that names it", err)
	}
}

func TestDefaultsAreTheRulesOfTheJob(t *testing.T) {
	cfg, err := Load[sample]([]string{"SAMPLE_HOST=h"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(job.DefaultRules(), cfg.Rules.Job()); diff != "" {
		t.Errorf("the variables' defaults and job.DefaultRules differ:\n%s", diff)
	}
	if cfg.Wait.D() != 1500*time.Millisecond {
		t.Errorf("SAMPLE_WAIT_SECONDS defaults to %v, want 1.5s", cfg.Wait.D())
	}
}

func TestASecretIsNeverPrinted(t *testing.T) {
	s := struct{ S Secret }{"hunter2"}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if got := fmt.Sprintf(format, s); strings.Contains(got, "hunter2") {
			t.Errorf("Sprintf(%q) = %s", format, got)
		}
	}
}

func TestDescribeListsEmbeddedSettingsToo(t *testing.T) {
	vars := Describe[sample]()
	if vars[0].Name != "SAMPLE_HOST" || !vars[0].Required || vars[0].Doc != "where" {
		t.Errorf("first variable = %+v", vars[0])
	}
	var names []string
	for _, v := range vars {
		names = append(names, v.Name)
	}
	if !strings.Contains(strings.Join(names, " "), "LEASE_SECONDS") {
		t.Errorf("no LEASE_SECONDS among %v", names)
	}
}

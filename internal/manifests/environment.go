package manifests

import (
	"maps"
	"slices"
	"strings"

	"mp3converter/internal/settings"
)

// goRuntime are the variables that every Go program knows.
var goRuntime = []string{"GOMEMLIMIT", "GOMAXPROCS", "GOGC", "GODEBUG", "TZ"}

// Environment holds that a service is given the variables it knows, all that it requires, and values that it takes; T is
// its settings. Only the service's own command can say T, so this is no rule of the list.
func Environment[T any](s *Set, service string) []Finding {
	w, ok := s.Workload(service)
	if !ok {
		return []Finding{Finding("no Deployment " + service)}
	}
	env := s.Environment(w)
	var findings []Finding
	var environ []string
	vars := settings.Describe[T]()
	for _, name := range slices.Sorted(maps.Keys(env)) {
		environ = append(environ, name+"="+env[name])
		known := slices.ContainsFunc(vars, func(v settings.Var) bool { return v.Name == name })
		if !known && !slices.Contains(goRuntime, name) {
			findings = append(findings, w.Find("env["+name+"]", "the service knows no such variable: remove it, or correct the name"))
		}
	}
	if _, err := settings.Load[T](environ); err != nil {
		for line := range strings.Lines(err.Error()) {
			findings = append(findings, w.Find("env", "the service says: %s", strings.TrimSpace(line)))
		}
	}
	return findings
}

// What README's tables have where there is no default.
const (
	isRequired = "required"
	isUnset    = "–"
)

// defaults reads README's tables of settings, which tests keep equal to the code: section, variable, default.
func defaults(readme string) map[string]map[string]string {
	all := map[string]map[string]string{}
	section := ""
	for line := range strings.Lines(readme) {
		line = strings.TrimSpace(line)
		if mark, ok := strings.CutPrefix(line, "<!-- settings "); ok {
			section = strings.TrimSuffix(mark, " -->")
			all[section] = map[string]string{}
			continue
		}
		cells := strings.Split(line, "|")
		if section == "" || len(cells) < 4 || !strings.HasPrefix(line, "| `") {
			continue
		}
		all[section][strings.Trim(cells[1], " `")] = strings.TrimSpace(cells[2])
	}
	return all
}

// settings are the variables that a service knows, with their defaults.
func (s *Set) settings(service string) map[string]string {
	all := map[string]string{}
	if !slices.Contains(Services, service) {
		return all
	}
	maps.Copy(all, s.Defaults["all"])
	maps.Copy(all, s.Defaults[service])
	if service != "auth" {
		maps.Copy(all, s.Defaults["backend"])
	}
	return all
}

// variables holds what Environment does, as far as README tells: for overlays, whose values may be elsewhere.
func variables(s *Set) []Finding {
	var findings []Finding
	for _, service := range Services {
		w, ok := s.Workload(service)
		if !ok {
			findings = append(findings, Finding("no Deployment "+service))
			continue
		}
		env, known := s.Environment(w), s.settings(service)
		for name := range env {
			if _, ok := known[name]; !ok && !slices.Contains(goRuntime, name) {
				findings = append(findings, w.Find("env["+name+"]", "the service knows no such variable: remove it, or correct the name"))
			}
		}
		for name, value := range known {
			if value == isRequired && env[name] == "" {
				findings = append(findings, w.Find("env["+name+"]", "the service requires it: set it"))
			}
		}
	}
	return findings
}

// Effective is the environment with the service's own defaults where nothing is set.
func (s *Set) Effective(w Workload) map[string]string {
	all := s.settings(w.GetName())
	maps.DeleteFunc(all, func(_, value string) bool { return value == isRequired || value == isUnset })
	maps.Copy(all, s.Environment(w))
	if w.GetName() == "notification" && all["SMTP_PORT"] == "" {
		all["SMTP_PORT"] = map[string]string{"starttls": "587", "implicit": "465", "none": "25"}[all["SMTP_TLS"]]
	}
	return all
}

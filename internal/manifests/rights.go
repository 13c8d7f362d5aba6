package manifests

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Definitions are what RabbitMQ is told of its users, in the form of its own exports.
type Definitions struct {
	Users []struct {
		Name, Password string
		Tags           []string
	}
	Vhosts      []struct{ Name string }
	Permissions []Permission
	Topics      []Permission `json:"topic_permissions"`
}

// Permission is regular expressions of what a user may do, with queues and exchanges, or with the topics of one exchange.
type Permission struct{ User, Vhost, Exchange, Configure, Write, Read string }

// rights holds that each service has a user of its own at RabbitMQ, which is no administrator and may use the queues that the
// service is told. What exactly each may is package rights' to try.
func rights(s *Set) []Finding {
	o, ok := Get[*corev1.ConfigMap](s, "rabbitmq-conf")
	if !ok {
		return []Finding{"no ConfigMap rabbitmq-conf: RabbitMQ gets its users from it"}
	}
	var findings []Finding
	find := func(format string, args ...any) {
		findings = append(findings, o.Find("data[definitions.json]", format, args...))
	}
	var d Definitions
	if err := json.Unmarshal([]byte(o.V.Data["definitions.json"]), &d); err != nil {
		find("%v", err)
		return findings
	}
	seen := map[string]bool{}
	for _, u := range d.Users {
		seen[u.Name] = true
		password := "$" + strings.ToUpper(u.Name) + "_PASSWORD"
		switch {
		case u.Name == "$RABBITMQ_DEFAULT_USER":
		case !slices.Contains(backends, u.Name):
			find("user %s: nobody logs in as that: remove it", u.Name)
		case u.Password != password:
			find("user %s: the password must be %s", u.Name, password)
		case len(u.Tags) > 0:
			find("user %s: has tags %v: a service needs none", u.Name, u.Tags)
		}
	}
	for _, service := range backends {
		if !seen[service] {
			find("no user %s: the service logs in as that", service)
		}
		w, there := s.Workload(service)
		if !there {
			continue
		}
		env := s.Effective(w)
		for _, need := range needs[service] {
			if !need.in(d, service, env[need.variable]) {
				find("%s may not %s %s, which is %q", service, need.verb, need.variable, env[need.variable])
			}
		}
	}
	return findings
}

// need is what a service does with a queue.
type need struct{ verb, variable string }

var needs = map[string][]need{
	"gateway":      {{"publish to", "VIDEO_QUEUE"}, {"publish to", "MP3_QUEUE"}},
	"converter":    {{"read", "VIDEO_QUEUE"}, {"publish to", "MP3_QUEUE"}},
	"notification": {{"read", "MP3_QUEUE"}},
}

func (n need) in(d Definitions, user, queue string) bool {
	where, pattern := d.Permissions, func(p Permission) string { return p.Read }
	if n.verb != "read" {
		where, pattern = d.Topics, func(p Permission) string { return p.Write }
	}
	return slices.ContainsFunc(where, func(p Permission) bool {
		matches, err := regexp.MatchString(pattern(p), queue)
		return p.User == user && err == nil && matches
	})
}

package manifests

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
)

// addresses holds that each host that a pod's environment names is a Service with that port, or outside the cluster.
func addresses(s *Set) []Finding {
	var findings []Finding
	for _, w := range s.Workloads() {
		env := s.Effective(w)
		for name, value := range env {
			field := "env[" + name + "]"
			if name == "BASE_URL" {
				findings = append(findings, s.public(w, field, value)...)
				continue
			}
			hosts, err := hostsOf(name, value, env)
			if err != nil {
				findings = append(findings, w.Find(field, "%v", err))
			}
			for _, host := range hosts {
				if why := s.unreachable(host); why != "" {
					findings = append(findings, w.Find(field, "%s", why))
				}
			}
		}
	}
	return findings
}

// schemes are the ports that an address without one means.
var schemes = map[string]string{"mongodb": "27017", "amqp": "5672", "amqps": "5671", "http": "80", "https": "443"}

// hostsOf returns the host:port addresses in a variable, as far as its name or its form shows that it has some. No value is
// in the error: it may be a secret.
func hostsOf(name, value string, env map[string]string) ([]string, error) {
	prefix, isHost := strings.CutSuffix(name, "_HOST")
	scheme, rest, isURL := strings.Cut(value, "://")
	switch {
	case value == "":
		return nil, nil
	case isHost:
		return []string{net.JoinHostPort(value, env[prefix+"_PORT"])}, nil
	case strings.HasSuffix(name, "_ADDRESS") && !strings.Contains(value, "@"): // GMAIL_ADDRESS is another thing
		if _, _, err := net.SplitHostPort(value); err != nil {
			return nil, fmt.Errorf("is not host:port")
		}
		return []string{value}, nil
	case !isURL || schemes[scheme] == "":
		return nil, nil
	}
	authority, _, _ := strings.Cut(rest, "/")
	authority = authority[strings.LastIndex(authority, "@")+1:]
	var hosts []string
	for host := range strings.SplitSeq(authority, ",") {
		if !strings.Contains(host, ":") {
			host += ":" + schemes[scheme]
		}
		hosts = append(hosts, host)
	}
	return hosts, nil
}

// unreachable says why an address leads nowhere; "" if it leads somewhere, or outside.
func (s *Set) unreachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "no host:port"
	}
	name, internal := serviceOf(host)
	if !internal {
		return ""
	}
	ports, ok := s.servicePorts(name)
	if !ok {
		return "no Service " + name
	}
	n, err := strconv.ParseInt(port, 10, 32)
	if err != nil || !slices.Contains(ports, int32(n)) {
		return fmt.Sprintf("Service %s has no port %q", name, port)
	}
	return ""
}

// serviceOf returns the Service that a host name means, and whether the name is one of the cluster.
func serviceOf(host string) (string, bool) {
	host = strings.TrimSuffix(strings.TrimSuffix(host, ".cluster.local"), ".svc")
	host, ours := strings.CutSuffix(host, "."+Namespace)
	parts := strings.Split(host, ".")
	if pod := len(parts) == 2 && strings.HasPrefix(parts[1], strings.TrimRight(parts[0], "-0123456789")); pod { // rabbitmq-0.rabbitmq-nodes
		return parts[1], true
	}
	return host, ours || len(parts) == 1
}

// public holds that the address in the mails is one that an Ingress takes.
func (s *Set) public(w Workload, field, value string) []Finding {
	u, err := url.Parse(value)
	if err != nil {
		return []Finding{w.Find(field, "is no URL")}
	}
	ingresses := All[*networkingv1.Ingress](s)
	if len(ingresses) == 0 || slices.ContainsFunc(ingresses, func(o Of[*networkingv1.Ingress]) bool {
		return leadsTo(o.V, "gateway") && slices.ContainsFunc(o.V.Spec.Rules, func(r networkingv1.IngressRule) bool { return r.Host == u.Host })
	}) {
		return nil
	}
	return []Finding{w.Find(field, "no Ingress leads from %s to the gateway", u.Host)}
}

func leadsTo(v *networkingv1.Ingress, service string) bool {
	return slices.ContainsFunc(v.Spec.Rules, func(r networkingv1.IngressRule) bool {
		return r.HTTP != nil && slices.ContainsFunc(r.HTTP.Paths, func(p networkingv1.HTTPIngressPath) bool {
			return p.Backend.Service != nil && p.Backend.Service.Name == service
		})
	})
}

// passwords holds that who logs in somewhere says what the other side was told.
func passwords(s *Set) []Finding {
	env := map[string]map[string]string{}
	for _, w := range s.Workloads() {
		env[w.GetName()] = s.Environment(w)
	}
	var findings []Finding
	compare := func(service, variable, got, server, wanted string) {
		if want := env[server][wanted]; got != want {
			findings = append(findings, Finding(fmt.Sprintf("%s's %s does not say what %s's %s does: make them equal", service, variable, server, wanted)))
		}
	}
	for _, variable := range []string{"MYSQL_USER", "MYSQL_PASSWORD"} {
		compare("auth", variable, env["auth"][variable], "mysql", variable)
	}
	for _, service := range backends {
		for variable, server := range map[string]string{"MONGODB_URI": "mongodb", "RABBITMQ_URL": "rabbitmq"} {
			user, password := login(env[service][variable])
			if user != service {
				findings = append(findings, Finding(fmt.Sprintf("%s's %s logs in as %q: each service has a user of its name", service, variable, user)))
			}
			compare(service, variable, password, server, strings.ToUpper(service)+"_PASSWORD")
		}
	}
	return findings
}

// login returns the user and the password in a URL.
func login(address string) (string, string) {
	u, err := url.Parse(address)
	if err != nil {
		return "", ""
	}
	password, _ := u.User.Password()
	return u.User.Username(), password
}

// backends are the three that share the stores.
var backends = []string{"gateway", "converter", "notification"}

// oneBackend holds that they are given the same settings, as README asks; all but who they are.
func oneBackend(s *Set) []Finding {
	var findings []Finding
	first, ok := s.Workload("gateway")
	for _, name := range backends[1:] {
		w, there := s.Workload(name)
		if !ok || !there {
			continue
		}
		for variable := range s.Defaults["backend"] {
			if nameless(s.Effective(w)[variable]) != nameless(s.Effective(first)[variable]) {
				findings = append(findings, w.Find("env["+variable+"]", "differs from the gateway's: make them equal"))
			}
		}
	}
	return findings
}

// nameless is a URL without user and password; anything else as it is.
func nameless(value string) string {
	scheme, rest, isURL := strings.Cut(value, "://")
	authority, path, _ := strings.Cut(rest, "/")
	if !isURL || !strings.Contains(authority, "@") {
		return value
	}
	return scheme + "://" + authority[strings.LastIndex(authority, "@")+1:] + "/" + path
}

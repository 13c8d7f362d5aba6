package manifests

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
)

// flows are all that may be sent: from, to, port. Besides, everybody may ask for names.
var flows = strings.Fields(`
	ingress>gateway:8080  ingress>mailpit:8025  ingress>rabbitmq:15672
	gateway>auth:5000     gateway>mongodb:27017 gateway>rabbitmq:5672
	auth>mysql:3306
	converter>mongodb:27017    converter>rabbitmq:5672
	notification>mongodb:27017 notification>rabbitmq:5672 notification>mailpit:1025
	mongodb-rights>mongodb:27017
	notification>world:25      notification>world:465     notification>world:587     notification>world:443`)

// mayFlow are those that a policy may allow or not.
var mayFlow = strings.Fields(`
	monitoring>auth:9090 monitoring>gateway:9090 monitoring>converter:9090 monitoring>notification:9090
	monitoring>rabbitmq:15692`)

// network works out what the policies allow together, and holds that it is the table above.
func network(s *Set) []Finding {
	n := s.network()
	findings := n.defaultDeny()
	allowed, half := n.flows()
	for _, flow := range slices.Sorted(maps.Keys(half)) {
		findings = append(findings, Finding(fmt.Sprintf("NetworkPolicies: %s: %s", flow, half[flow])))
	}
	want, may := s.wanted(n), slices.Concat(mayFlow, s.elsewhere())
	for _, flow := range want {
		if !slices.Contains(allowed, flow) {
			findings = append(findings, Finding(fmt.Sprintf("NetworkPolicies: %s is not allowed: add it", flow)))
		}
	}
	for _, flow := range allowed {
		if !slices.Contains(want, flow) && !slices.Contains(may, flow) {
			findings = append(findings, Finding(fmt.Sprintf("NetworkPolicies: %s is allowed: nobody needs it, remove it", flow)))
		}
	}
	return findings
}

// wanted is the table as far as the two ends are there, and an Ingress where one is between them.
func (s *Set) wanted(n policies) []string {
	var want []string
	for _, flow := range slices.Concat(flows, names53(n.inside)) {
		from, to, _ := strings.Cut(flow, ">")
		to, _, _ = strings.Cut(to, ":")
		fronted := slices.ContainsFunc(All[*networkingv1.Ingress](s), func(o Of[*networkingv1.Ingress]) bool { return leadsTo(o.V, to) })
		if n.knows(from) && n.knows(to) && (from != "ingress" || fronted) {
			want = append(want, flow)
		}
	}
	return want
}

// elsewhere is what may flow where overlays have something else in a server's place.
func (s *Set) elsewhere() []string {
	var may []string
	if _, ok := s.Workload("mysql"); !ok {
		may = append(may, "auth>lan:3306", "auth>world:3306")
	}
	if slices.ContainsFunc(s.Objects, func(o Object) bool { return o.Kind == "HTTPRoute" }) {
		may = append(may, "envoy>gateway:8080")
	}
	if slices.ContainsFunc(s.Objects, func(o Object) bool { return o.Kind == "ScaledObject" }) {
		may = append(may, "keda>rabbitmq:15672")
	}
	for _, o := range s.Operated() { // its pods talk to Kubernetes, which no policy can name
		for _, to := range outsiders() {
			may = append(may, fmt.Sprintf("%s>%s:443", o.GetName(), to.name), fmt.Sprintf("%s>%s:6443", o.GetName(), to.name))
		}
		may = append(may, o.GetName()+">stranger:443", o.GetName()+">stranger:6443")
	}
	return may
}

func names53(inside []actor) []string {
	var all []string
	for _, a := range inside {
		all = append(all, a.name+">dns:53", a.name+">dns:53/UDP")
	}
	return all
}

// defaultDeny holds that what no policy allows is forbidden, for pods that nobody has thought of, too.
func (n policies) defaultDeny() []Finding {
	for _, policy := range n.all {
		spec := policy.Spec
		everybody := len(spec.PodSelector.MatchLabels)+len(spec.PodSelector.MatchExpressions) == 0
		if everybody && applies(policy, networkingv1.PolicyTypeIngress) && applies(policy, networkingv1.PolicyTypeEgress) &&
			len(spec.Ingress)+len(spec.Egress) == 0 {
			return nil
		}
	}
	return []Finding{"NetworkPolicies: none denies everything both ways to all pods: add it"}
}

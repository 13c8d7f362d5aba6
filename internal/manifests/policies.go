package manifests

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// actor is somebody who may send or receive: pods of one kind, or an address outside.
type actor struct {
	name      string
	namespace labels.Set // its labels
	pod       labels.Set
	ip        netip.Addr // instead of the two
	inside    bool       // the policies are about it
	workload  *Workload  // whose ports are known; not an operator's
}

type port struct {
	protocol corev1.Protocol
	number   int32
}

func (p port) String() string {
	if p.protocol == corev1.ProtocolTCP {
		return fmt.Sprint(p.number)
	}
	return fmt.Sprintf("%d/%s", p.number, p.protocol)
}

type policies struct {
	all             []*networkingv1.NetworkPolicy
	inside, outside []actor
	ports           []port
}

func (s *Set) network() policies {
	n := policies{outside: outsiders()}
	home := labels.Set{corev1.LabelMetadataName: Namespace}
	if o, ok := Get[*corev1.Namespace](s, Namespace); ok {
		home = labels.Merge(o.V.Labels, home)
	}
	for _, w := range s.Workloads() {
		n.inside = append(n.inside, actor{name: w.GetName(), namespace: home, pod: w.Pod.Labels, inside: true, workload: &w})
		// Who only calls himself like one of ours, in a namespace of his own.
		n.outside = append(n.outside, actor{name: "stranger", namespace: labels.Set{corev1.LabelMetadataName: "stranger"}, pod: w.Pod.Labels})
	}
	for _, o := range s.Operated() {
		n.inside = append(n.inside, actor{name: o.GetName(), namespace: home, pod: o.Pod, inside: true})
	}
	for _, o := range All[*networkingv1.NetworkPolicy](s) {
		n.all = append(n.all, o.V)
	}
	n.ports = n.interesting()
	return n
}

func outsiders() []actor {
	in := func(name, namespace string, pod labels.Set) actor {
		return actor{name: name, namespace: labels.Set{corev1.LabelMetadataName: namespace}, pod: pod}
	}
	return []actor{
		in("ingress", "ingress-nginx", labels.Set{"app.kubernetes.io/name": "ingress-nginx", "app.kubernetes.io/component": "controller"}),
		in("monitoring", "monitoring", labels.Set{"app.kubernetes.io/name": "prometheus"}),
		in("dns", "kube-system", labels.Set{"k8s-app": "kube-dns"}),
		in("system", "kube-system", labels.Set{"component": "kube-apiserver"}),
		in("envoy", "envoy-gateway-system", nil),
		in("keda", "keda", nil),
		{name: "world", ip: netip.MustParseAddr("203.0.113.7")},
		{name: "lan", ip: netip.MustParseAddr("10.20.30.40")},
		{name: "lan", ip: netip.MustParseAddr("192.168.1.1")},
		{name: "lan", ip: netip.MustParseAddr("172.20.1.1")},
		{name: "lan", ip: netip.MustParseAddr("100.64.1.1")},           // some clouds have their pods there
		{name: "metadata", ip: netip.MustParseAddr("169.254.169.254")}, // where clouds keep credentials
	}
}

// interesting are the ports that somebody has or that a policy names, and one that nobody has.
func (n policies) interesting() []port {
	numbers := map[int32]bool{31337: true, 53: true}
	for _, a := range n.inside {
		if a.workload == nil {
			continue
		}
		for _, c := range a.workload.Pod.Spec.Containers {
			for _, p := range c.Ports {
				numbers[p.ContainerPort] = true
			}
		}
	}
	for _, policy := range n.all {
		var named []networkingv1.NetworkPolicyPort
		for _, rule := range policy.Spec.Ingress {
			named = append(named, rule.Ports...)
		}
		for _, rule := range policy.Spec.Egress {
			named = append(named, rule.Ports...)
		}
		for _, p := range named {
			if p.Port != nil && p.Port.Type == intstr.Int {
				numbers[p.Port.IntVal] = true
			}
			if p.EndPort != nil {
				numbers[*p.EndPort] = true
			}
		}
	}
	var all []port
	for _, number := range slices.Sorted(maps.Keys(numbers)) {
		all = append(all, port{corev1.ProtocolTCP, number}, port{corev1.ProtocolUDP, number})
	}
	return all
}

func (n policies) knows(name string) bool {
	return slices.ContainsFunc(slices.Concat(n.inside, n.outside), func(a actor) bool { return a.name == name })
}

func applies(policy *networkingv1.NetworkPolicy, direction networkingv1.PolicyType) bool {
	if len(policy.Spec.PolicyTypes) > 0 {
		return slices.Contains(policy.Spec.PolicyTypes, direction)
	}
	return direction == networkingv1.PolicyTypeIngress || len(policy.Spec.Egress) > 0
}

// flows works out who reaches whom, and what only one of the two sides allows.
func (n policies) flows() ([]string, map[string]string) {
	var allowed []string
	half := map[string]string{}
	everybody := slices.Concat(n.inside, n.outside)
	for i, from := range everybody {
		for j, to := range everybody {
			if i == j || !from.inside && !to.inside {
				continue
			}
			out, in := n.sends(from, to), n.takes(to, from)
			for _, p := range n.ports {
				sent, taken := out.lets(p, to), in.lets(p, to)
				flow := fmt.Sprintf("%s>%s:%s", from.name, to.name, p)
				switch {
				case sent && taken:
					allowed = append(allowed, flow)
				case !from.inside || !to.inside: // outside nobody is asked
				case out.means(p, to):
					half[flow] = "may be sent and is not taken: allow it at " + to.name + " too, or nowhere"
				case in.means(p, to):
					half[flow] = "is taken and may not be sent: allow it at " + from.name + " too, or nowhere"
				}
			}
		}
	}
	slices.Sort(allowed)
	return slices.Compact(allowed), half
}

// gate is what one side's policies let through to the other, and what of it they name the other for.
type gate struct {
	open         bool // no policy selects this side
	named, vague [][]networkingv1.NetworkPolicyPort
}

func (g gate) lets(p port, to actor) bool {
	return g.open || g.means(p, to) || slices.ContainsFunc(g.vague, func(ports []networkingv1.NetworkPolicyPort) bool { return anyPort(ports, to, p) })
}

func (g gate) means(p port, to actor) bool {
	return slices.ContainsFunc(g.named, func(ports []networkingv1.NetworkPolicyPort) bool { return anyPort(ports, to, p) })
}

func (g *gate) add(peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort, other actor) {
	switch {
	case len(peers) == 0:
		g.vague = append(g.vague, ports)
	case anyPeer(peers, other):
		g.named = append(g.named, ports)
	}
}

func (n policies) sends(from, to actor) gate {
	mine := n.of(from, networkingv1.PolicyTypeEgress)
	g := gate{open: len(mine) == 0}
	for _, policy := range mine {
		for _, rule := range policy.Spec.Egress {
			g.add(rule.To, rule.Ports, to)
		}
	}
	return g
}

func (n policies) takes(to, from actor) gate {
	mine := n.of(to, networkingv1.PolicyTypeIngress)
	g := gate{open: len(mine) == 0}
	for _, policy := range mine {
		for _, rule := range policy.Spec.Ingress {
			g.add(rule.From, rule.Ports, from)
		}
	}
	return g
}

// of lists the policies that select an actor in a direction; those outside are nobody's here.
func (n policies) of(a actor, direction networkingv1.PolicyType) []*networkingv1.NetworkPolicy {
	if !a.inside {
		return nil
	}
	var all []*networkingv1.NetworkPolicy
	for _, policy := range n.all {
		if applies(policy, direction) && matches(&policy.Spec.PodSelector, a.pod) {
			all = append(all, policy)
		}
	}
	return all
}

func matches(selector *metav1.LabelSelector, has labels.Set) bool {
	match, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && match.Matches(has)
}

// anyPeer reports whether a rule's peers include the actor.
func anyPeer(peers []networkingv1.NetworkPolicyPeer, a actor) bool {
	return slices.ContainsFunc(peers, func(peer networkingv1.NetworkPolicyPeer) bool {
		switch {
		case peer.IPBlock != nil:
			return a.ip.IsValid() && within(peer.IPBlock, a.ip)
		case a.ip.IsValid():
			return false
		case peer.NamespaceSelector == nil: // the policy's own namespace
			return a.inside && matches(peer.PodSelector, a.pod)
		default:
			return matches(peer.NamespaceSelector, a.namespace) && (peer.PodSelector == nil || matches(peer.PodSelector, a.pod))
		}
	})
}

func within(block *networkingv1.IPBlock, ip netip.Addr) bool {
	in := func(cidr string) bool {
		prefix, err := netip.ParsePrefix(cidr)
		return err == nil && prefix.Contains(ip)
	}
	return in(block.CIDR) && !slices.ContainsFunc(block.Except, in)
}

// anyPort reports whether a rule's ports include it; no ports are all of them.
func anyPort(ports []networkingv1.NetworkPolicyPort, to actor, p port) bool {
	return len(ports) == 0 || slices.ContainsFunc(ports, func(allowed networkingv1.NetworkPolicyPort) bool {
		protocol := corev1.ProtocolTCP
		if allowed.Protocol != nil {
			protocol = *allowed.Protocol
		}
		if protocol != p.protocol {
			return false
		}
		if allowed.Port == nil {
			return true
		}
		first := allowed.Port.IntVal
		if allowed.Port.Type == intstr.String {
			if to.workload == nil {
				return false
			}
			first, _ = to.workload.Port(*allowed.Port)
		}
		last := first
		if allowed.EndPort != nil {
			last = *allowed.EndPort
		}
		return first <= p.number && p.number <= last
	})
}

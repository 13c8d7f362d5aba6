package manifests

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

var networkPlants = []plant{
	{"network", "nothing denied", func(s *Set) { s.Remove("NetworkPolicy", "default-deny") }, []string{"none denies everything"}},
	{"network", "only arrivals denied", func(s *Set) { allow(s, "default-deny").PolicyTypes = nil }, []string{"none denies everything"}},
	{"network", "only some denied", func(s *Set) { allow(s, "default-deny").PodSelector.MatchLabels = map[string]string{"app": "auth"} }, []string{"none denies everything"}},
	{"network", "everything denied but everything", func(s *Set) { allow(s, "default-deny").Egress = []networkingv1.NetworkPolicyEgressRule{{}} }, []string{"none denies everything"}},
	{"network", "all may leave", func(s *Set) { allow(s, "default-deny").Egress = []networkingv1.NetworkPolicyEgressRule{{}} }, []string{"converter>world:31337/UDP is allowed"}},
	{"network", "a converter on the Internet", func(s *Set) {
		e := &allow(s, "converter").Egress
		*e = append(*e, allow(s, "notification").Egress[3])
	}, []string{"converter>world:25 is allowed"}},
	{"network", "mail to the home network", func(s *Set) { allow(s, "notification").Egress[3].To[0].IPBlock.Except = nil }, []string{"notification>lan:25 is allowed"}},
	{"network", "mail to the cloud's keys", func(s *Set) {
		b := allow(s, "notification").Egress[3].To[0].IPBlock
		b.Except = b.Except[:3]
	}, []string{"notification>metadata:25 is allowed"}},
	{"network", "any port of the world", func(s *Set) { allow(s, "notification").Egress[3].Ports = nil }, []string{"notification>world:8080 is allowed"}},
	{"network", "a range of ports", func(s *Set) { allow(s, "notification").Egress[3].Ports[0].EndPort = new(int32(26)) }, []string{"notification>world:26 is allowed"}},
	{"network", "a port by no number", func(s *Set) { allow(s, "notification").Egress[3].Ports[0].Port = nil }, []string{"notification>world:53 is allowed"}},
	{"network", "a name for the world's port", func(s *Set) { allow(s, "notification").Egress[3].Ports[0].Port = new(intstr.FromString("smtp")) }, []string{"notification>world:25 is not allowed"}},
	{"network", "no names", func(s *Set) { s.Remove("NetworkPolicy", "dns") }, []string{"mysql>dns:53/UDP is not allowed"}},
	{"network", "no long names", func(s *Set) { allow(s, "dns").Egress[0].Ports = allow(s, "dns").Egress[0].Ports[:1] }, []string{"auth>dns:53 is not allowed"}},
	{"network", "all of kube-system", func(s *Set) { allow(s, "dns").Egress[0].To[0].PodSelector = nil }, []string{"auth>system:53 is allowed"}},
	{"network", "MySQL for the gateway", func(s *Set) { allow(s, "mysql").Ingress[0].From[0].PodSelector.MatchLabels["app"] = "gateway" }, []string{"gateway>mysql:3306", "is taken and may not be sent"}},
	{"network", "MySQL for nobody", func(s *Set) { s.Remove("NetworkPolicy", "mysql") }, []string{"auth>mysql:3306", "may be sent and is not taken"}},
	{"network", "MySQL for nobody, and that is a gap", func(s *Set) { s.Remove("NetworkPolicy", "mysql") }, []string{"auth>mysql:3306 is not allowed"}},
	{"network", "MongoDB for all", func(s *Set) { allow(s, "mongodb").Ingress[0].From = nil }, []string{"stranger>mongodb:27017 is allowed"}},
	{"network", "MongoDB for all pods of that name", func(s *Set) {
		for i := range allow(s, "mongodb").Ingress[0].From {
			allow(s, "mongodb").Ingress[0].From[i].NamespaceSelector = &metav1.LabelSelector{}
		}
	}, []string{"stranger>mongodb:27017 is allowed"}},
	{"network", "auth by the ingress", func(s *Set) { allow(s, "auth").Ingress[0].From = allow(s, "gateway").Ingress[0].From }, []string{"ingress>auth:5000 is allowed"}},
	{"network", "no ingress", func(s *Set) {
		allow(s, "gateway").Ingress[0].From[0].NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"] = "nginx"
	}, []string{"ingress>gateway:8080 is not allowed"}},
	{"network", "metrics for the world", func(s *Set) {
		allow(s, "metrics").Ingress[0].From = []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "0.0.0.0/0"}}}
	}, []string{"world>auth:9090 is allowed"}},
	{"network", "UDP for TCP", func(s *Set) { allow(s, "auth").Egress[0].Ports[0].Protocol = new(corev1.ProtocolUDP) }, []string{"auth>mysql:3306 is not allowed"}},
	{"network", "a port's name", func(s *Set) {
		allow(s, "auth").Egress[0].Ports[0].Port = new(intstr.FromString("mysq"))
	}, []string{"auth>mysql:3306 is not allowed"}},
	{"network", "the databases' own talk", func(s *Set) {
		peer := []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "mongodb"}}}}
		allow(s, "mysql").Egress = []networkingv1.NetworkPolicyEgressRule{{To: peer}}
		allow(s, "mysql").PolicyTypes = nil // then those for which it has rules
	}, []string{"mysql>mongodb:27017", "may be sent and is not taken"}},
	{"network", "an address that is none", func(s *Set) { allow(s, "notification").Egress[3].To[0].IPBlock.CIDR = "all" }, []string{"notification>world:587 is not allowed"}},
}

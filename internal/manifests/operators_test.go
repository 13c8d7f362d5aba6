package manifests

import (
	"maps"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const operators = `
apiVersion: rabbitmq.com/v1beta1
kind: RabbitmqCluster
metadata: {name: rabbitmq, namespace: mp3converter, labels: {app: rabbitmq}}
spec:
  rabbitmq:
    additionalConfig: |
      consumer_timeout = 14400000
---
apiVersion: mongodbcommunity.mongodb.com/v1
kind: MongoDBCommunity
metadata: {name: mongodb, namespace: mp3converter}
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: auth-secret, namespace: mp3converter}
spec:
  data:
    - {secretKey: JWT_SECRET, remoteRef: {key: k, property: p}}
    - {secretKey: MYSQL_PASSWORD, remoteRef: {key: k, property: p}}
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: gateway, namespace: mp3converter}
spec:
  target:
    name: gateway-secret
    template:
      data:
        MONGODB_URI: "mongodb://u:{{ .p | urlquery }}@mongodb-0.mongodb-svc.mp3converter.svc.cluster.local:27017,mongodb-1.mongodb-svc/?replicaSet=mongodb"
        RABBITMQ_URL: "amqp://u:{{ .p | urlquery }}@rabbitmq:5672/"
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: gateway, namespace: mp3converter}
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: converter, namespace: mp3converter}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: nodes, namespace: mp3converter}
spec: {maxUnavailable: 1, selector: {matchLabels: {app.kubernetes.io/name: rabbitmq}}}
---
apiVersion: v1
kind: Service
metadata: {name: nodes, namespace: mp3converter}
spec: {clusterIP: None, selector: {app: rabbitmq}, ports: [{port: 15692}]}
---
apiVersion: v1
kind: Service
metadata: {name: ops, namespace: mp3converter}
spec: {clusterIP: None, selector: {app.kubernetes.io/component: service}, ports: [{port: 9090, targetPort: ops}]}
`

var port443 = intstr.FromInt32(443)

// production is manifests/ with its servers run by operators or somewhere else.
func production(t *testing.T) *Set {
	t.Helper()
	s := shipped(t)
	for _, server := range []string{"rabbitmq", "mongodb", "mysql"} {
		s.Objects = slices.DeleteFunc(s.Objects, func(o Object) bool { return o.GetLabels()["app"] == server })
	}
	for _, name := range []string{"auth-secret", "gateway-secret"} {
		s.Remove("Secret", name)
	}
	data(s, "auth-configmap")["MYSQL_HOST"] = "10.0.0.5"
	s.Remove("NetworkPolicy", "mysql")
	s.Remove("NetworkPolicy", "mongodb-rights")
	allow(s, "auth").Egress[0].To = []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "10.0.0.0/8"}}}
	svc := map[string]string{"app": "mongodb-svc"}
	allow(s, "mongodb").PodSelector.MatchLabels = svc
	allow(s, "mongodb").Egress = []networkingv1.NetworkPolicyEgressRule{{Ports: []networkingv1.NetworkPolicyPort{{Port: &port443}}}}
	allow(s, "mongodb").PolicyTypes = nil
	for _, name := range []string{"gateway", "converter", "notification"} {
		for _, rule := range allow(s, name).Egress {
			if p := rule.To[0].PodSelector; p != nil && p.MatchLabels["app"] == "mongodb" {
				p.MatchLabels = svc
			}
		}
	}
	objects, findings := Decode("overlay", operators, Operators)
	if len(findings) > 0 {
		t.Fatal(lines(findings))
	}
	s.Objects = append(s.Objects, objects...)
	for _, name := range []string{"converter-secret", "notification-secret"} {
		maps.Copy(secrets(s, name), s.secret("gateway-secret"))
	}
	allow(s, "rabbitmq").Ingress[1].From[0].NamespaceSelector.MatchLabels[corev1.LabelMetadataName] = "keda"
	allow(s, "gateway").Ingress[0].From = append(allow(s, "gateway").Ingress[0].From, networkingv1.NetworkPolicyPeer{
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: "envoy-gateway-system"}},
	})
	return s
}

func TestRulesKnowWhatOperatorsMake(t *testing.T) {
	for _, f := range judge(production(t), shipped(t)) {
		t.Error(f)
	}
	foreign := func(s *Set, name string) map[string]any { return get[*unstructured.Unstructured](s, name).Object }
	for name, tt := range map[string]struct {
		spoil func(*Set)
		want  string
	}{
		"a Service that the operator does not make": {func(s *Set) { secrets(s, "converter-secret")["MONGODB_URI"] = "mongodb://mongodb/" }, "Deployment converter: env[MONGODB_URI]: no Service mongodb"},
		"a port that it has not":                    {func(s *Set) { secrets(s, "converter-secret")["RABBITMQ_URL"] = "amqps://rabbitmq/" }, `Service rabbitmq has no port "5671"`},
		"no cluster":                                {func(s *Set) { s.Remove("RabbitmqCluster", "rabbitmq") }, "Deployment gateway: env[RABBITMQ_URL]: no Service rabbitmq"},
		"a budget for nobody":                       {func(s *Set) { s.Remove("RabbitmqCluster", "rabbitmq") }, "PodDisruptionBudget nodes: spec.selector: matches 0"},
		"pods of another label": {func(s *Set) {
			get[*policyv1.PodDisruptionBudget](s, "nodes").Spec.Selector.MatchLabels["app.kubernetes.io/name"] = "rabbit"
		}, "PodDisruptionBudget nodes: spec.selector"},
		"a list of pods without the port": {func(s *Set) { container(s, "auth").Ports = nil }, "Service ops: spec.ports: targetPort ops is no port of"},
		"a secret that is not fetched":    {func(s *Set) { s.Remove("ExternalSecret", "auth-secret") }, "Deployment auth: envFrom: no Secret auth-secret"},
		"a value that is not fetched": {func(s *Set) {
			unstructured.RemoveNestedField(foreign(s, "gateway"), "spec", "target", "template", "data", "MONGODB_URI")
		}, "Deployment gateway: env[MONGODB_URI]: the service requires it"},
		"a template that leads nowhere": {func(s *Set) {
			_ = unstructured.SetNestedField(foreign(s, "gateway"), "amqp://u:{{ .p }}@rabbit:5672/", "spec", "target", "template", "data", "RABBITMQ_URL")
		}, "Deployment gateway: env[RABBITMQ_URL]: no Service rabbit"},
		"an impatient broker": {func(s *Set) {
			_ = unstructured.SetNestedField(foreign(s, "rabbitmq"), "consumer_timeout = 1", "spec", "rabbitmq", "additionalConfig")
		}, "RabbitmqCluster rabbitmq: spec.rabbitmq.additionalConfig: consumer_timeout is 1 ms"},
		"an ingress to the management pages": {func(s *Set) {
			allow(s, "rabbitmq").Ingress[1].From[0].NamespaceSelector.MatchLabels[corev1.LabelMetadataName] = "ingress-nginx"
		}, "ingress>rabbitmq:15672 is allowed"},
		"KEDA without its ScaledObject":   {func(s *Set) { s.Remove("ScaledObject", "converter") }, "keda>rabbitmq:15672 is allowed"},
		"Envoy without a route":           {func(s *Set) { s.Remove("HTTPRoute", "gateway") }, "envoy>gateway:8080 is allowed"},
		"a server that may talk to all":   {func(s *Set) { allow(s, "mongodb").Egress[0].Ports = nil }, "mongodb>world:31337 is allowed"},
		"nobody who may talk to a server": {func(s *Set) { allow(s, "converter").Egress = nil }, "converter>mongodb:27017 is not allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			s := production(t)
			tt.spoil(s)
			expect(t, judge(s, shipped(t)), tt.want)
		})
	}
}

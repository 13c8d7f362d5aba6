package manifests

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// Kinds says whose types a document may be of.
type Kinds int

const (
	Kubernetes Kinds = iota // only those that every cluster has
	Operators               // also those of operators; of them nothing is known but the name
)

// strict refuses unknown and duplicate fields. It sets no defaults: a rule sees what is written.
var strict = func() runtime.Decoder {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, appsv1.AddToScheme, batchv1.AddToScheme, networkingv1.AddToScheme, policyv1.AddToScheme,
		rbacv1.AddToScheme, autoscalingv2.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			panic(err) // two of Kubernetes' own types under one name
		}
	}
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
}()

// Decode decodes each document of a file.
func Decode(file, text string, kinds Kinds) ([]Object, []Finding) {
	var objects []Object
	var findings []Finding
	documents := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text)))
	for i := 1; ; i++ {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return objects, findings
		}
		var o Object
		if err == nil && empty(document) {
			continue
		}
		if err == nil {
			o, err = decode(document, kinds)
		}
		if err != nil {
			findings = append(findings, Finding(fmt.Sprintf("%s: document %d: %v", file, i, err)))
			continue
		}
		o.File = file
		objects = append(objects, o)
	}
}

// empty reports whether a document has nothing but comments.
func empty(document []byte) bool {
	for line := range bytes.Lines(document) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' && !bytes.Equal(line, []byte("---")) {
			return false
		}
	}
	return true
}

func decode(document []byte, kinds Kinds) (Object, error) {
	v, kind, err := strict.Decode(document, nil, nil)
	if runtime.IsNotRegisteredError(err) && kinds == Operators {
		return foreign(document)
	}
	if err != nil {
		return Object{}, err
	}
	meta, ok := v.(metav1.Object)
	if !ok {
		return Object{}, fmt.Errorf("%s has no metadata: write its items as documents", kind.Kind)
	}
	return Object{Object: meta, Kind: kind.Kind, Value: v}, nil
}

// foreign decodes an object of a kind that is not Kubernetes' own.
func foreign(document []byte) (Object, error) {
	v := &unstructured.Unstructured{}
	if err := yaml.UnmarshalStrict(document, &v.Object); err != nil {
		return Object{}, err
	}
	if v.GetKind() == "" || v.GetName() == "" {
		return Object{}, errors.New("no kind or no metadata.name")
	}
	return Object{Object: v, Kind: v.GetKind(), Value: v}, nil
}

package otlp

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	sdk "go.opentelemetry.io/otel/sdk/trace"

	"mp3converter/internal/settings"
)

// Settings are OpenTelemetry's standard variables, as far as they matter here. The SDK reads OTEL_BSP_* and the limits of spans
// itself. A platform may give all that it runs variables which only some understand: where nothing is traced, they do not matter.
type Settings struct {
	Disabled string          `env:"OTEL_SDK_DISABLED" doc:"true: nothing is traced, whatever the others say"`
	Exporter string          `env:"OTEL_TRACES_EXPORTER" doc:"otlp or none; without it otlp if there is an endpoint, else nothing is traced"`
	Endpoint string          `env:"OTEL_EXPORTER_OTLP_ENDPOINT" doc:"URL of a collector of traces, by OTLP over HTTP: spans are posted to /v1/traces there. With OTEL_TRACES_EXPORTER=otlp alone it is http://localhost:4318"`
	Headers  settings.Secret `env:"OTEL_EXPORTER_OTLP_HEADERS" doc:"name=value,… to send along, for collectors that want a key"`
	Protocol string          `env:"OTEL_EXPORTER_OTLP_PROTOCOL" envDefault:"http/protobuf" doc:"there is no other"`
	Sampler  string          `env:"OTEL_TRACES_SAMPLER" envDefault:"parentbased_always_on" doc:"which requests are traced: always_on, always_off, traceidratio, or parentbased_ and one of these, as whoever began the trace"`
	Arg      string          `env:"OTEL_TRACES_SAMPLER_ARG" doc:"of a …traceidratio: the part of them, 0 to 1; without it 1"`
	Service  string          `env:"OTEL_SERVICE_NAME" doc:"what traces call the service; without it its own name"`
	Resource string          `env:"OTEL_RESOURCE_ATTRIBUTES" doc:"name=value,… about this installation, to go with every trace; a value of another form is ignored, with a warning"`
}

// Validate reports what the variables cannot be, if anything is to be traced.
func (s Settings) Validate() error {
	if s.disabled() {
		return nil
	}
	if s.Exporter != "" && s.Exporter != "none" && s.Exporter != "otlp" {
		return errors.New("OTEL_TRACES_EXPORTER: otlp or none")
	}
	if !s.on() {
		return nil
	}
	var mistakes []error
	if _, err := s.url(); err != nil {
		mistakes = append(mistakes, fmt.Errorf("OTEL_EXPORTER_OTLP_ENDPOINT: %w", err))
	}
	if _, err := pairs(string(s.Headers)); err != nil {
		mistakes = append(mistakes, fmt.Errorf("OTEL_EXPORTER_OTLP_HEADERS: %w", err))
	}
	if s.Protocol != "" && s.Protocol != "http/protobuf" {
		mistakes = append(mistakes, errors.New("OTEL_EXPORTER_OTLP_PROTOCOL: http/protobuf only"))
	}
	if _, err := s.sampler(); err != nil {
		mistakes = append(mistakes, err)
	}
	return errors.Join(mistakes...)
}

// disabled is true for the one word that the specification has for it.
func (s Settings) disabled() bool { return strings.EqualFold(s.Disabled, "true") }

// on reports whether anything is traced.
func (s Settings) on() bool {
	return !s.disabled() && (s.Exporter == "otlp" || s.Exporter == "" && s.Endpoint != "")
}

// url is where spans are posted to.
func (s Settings) url() (string, error) {
	endpoint := s.Endpoint
	if endpoint == "" {
		endpoint = "http://localhost:4318"
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", errors.New("not a URL like http://collector:4318") // err would quote it, and it may have a password
	}
	return u.JoinPath("v1", "traces").String(), nil
}

// pairs are names with percent-encoded values, as headers and attributes are written.
func pairs(text string) (map[string]string, error) {
	all := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if !ok || err != nil || strings.TrimSpace(name) == "" {
			return nil, errors.New("not of the form name=value,name=value")
		}
		all[strings.TrimSpace(name)] = value
	}
	return all, nil
}

func (s Settings) sampler() (sdk.Sampler, error) {
	name, parentBased := strings.CutPrefix(s.Sampler, "parentbased_")
	var sampler sdk.Sampler
	switch name {
	case "always_on":
		sampler = sdk.AlwaysSample()
	case "always_off":
		sampler = sdk.NeverSample()
	case "traceidratio":
		ratio := 1.0
		if s.Arg != "" {
			var err error
			if ratio, err = strconv.ParseFloat(s.Arg, 64); err != nil || ratio < 0 || ratio > 1 {
				return nil, errors.New("OTEL_TRACES_SAMPLER_ARG: a number from 0 to 1")
			}
		}
		sampler = sdk.TraceIDRatioBased(ratio)
	default:
		return nil, errors.New("OTEL_TRACES_SAMPLER: always_on, always_off or traceidratio, or parentbased_ and one of these")
	}
	if parentBased {
		sampler = sdk.ParentBased(sampler)
	}
	return sampler, nil
}

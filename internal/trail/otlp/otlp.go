// Package otlp makes spans and sends them to a collector: OpenTelemetry's SDK, and its protocol over HTTP. Nobody waits for a
// collector: spans are sent in the background, and those that there is no room for are dropped.
package otlp

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"
)

// lastWords is how long the spans that are left may take when the process ends.
const lastWords = 3 * time.Second

// Start returns the tracer that the settings ask for, nil if none. stop sends what is left, and must be called when nothing
// is traced any more.
func Start(s Settings, service, version string, log *slog.Logger) (_ oteltrace.Tracer, stop func(), err error) {
	if !s.on() {
		return nil, func() {}, nil
	}
	sampler, err := s.sampler()
	if err != nil {
		return nil, nil, err
	}
	client, err := newClient(s)
	if err != nil {
		return nil, nil, err
	}
	ctx := context.Background() // nothing here waits
	exporter, err := otlptrace.New(ctx, client)
	if err != nil {
		return nil, nil, err
	}
	s.warn(log)
	_ = os.Unsetenv("OTEL_RESOURCE_ATTRIBUTES") // the SDK would read it once more, and take the good half of a bad one
	of := resource.NewSchemaless(s.attributes(service, version)...)
	otel.SetErrorHandler(seldom(log)) // the SDK has one for all
	provider := sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithSampler(sampler), sdk.WithResource(of))
	log.Info("tracing", "sampler", sampler.Description())
	return provider.Tracer("mp3converter"), func() {
		ctx, cancel := context.WithTimeout(ctx, lastWords)
		defer cancel()
		_ = provider.Shutdown(ctx) // its errors go to the handler
	}, nil
}

// warn logs the mistakes that the specification of OpenTelemetry wants reported and the variable ignored for.
func (s Settings) warn(log *slog.Logger) {
	if s.Disabled != "" && !strings.EqualFold(s.Disabled, "false") {
		log.Warn("OTEL_SDK_DISABLED is neither true nor false, and ignored")
	}
	if _, err := pairs(s.Resource); err != nil {
		log.Warn("OTEL_RESOURCE_ATTRIBUTES is ignored", "err", err)
	}
}

// attributes say whose traces they are. The last of a name counts.
func (s Settings) attributes(service, version string) []attribute.KeyValue {
	all := []attribute.KeyValue{attribute.String("service.name", service), attribute.String("service.version", version)}
	more, _ := pairs(s.Resource) // warn has told of a mistake
	for name, value := range more {
		all = append(all, attribute.String(name, value))
	}
	if s.Service != "" {
		all = append(all, attribute.String("service.name", s.Service))
	}
	return all
}

// seldom logs that spans cannot be sent, once a minute: it is nobody's job that suffers.
func seldom(log *slog.Logger) otel.ErrorHandler {
	const pause = time.Minute
	var mu sync.Mutex
	var said time.Time
	return otel.ErrorHandlerFunc(func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(said) < pause {
			return
		}
		said = time.Now()
		log.Warn("traces are not sent", "err", err)
	})
}

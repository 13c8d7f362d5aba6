package trail

import (
	"context"

	"mp3converter/internal/job"
)

// Handle has what handle does for a message be a step of the message's trail. A message that somebody else has published
// without one begins a trace.
func Handle(name string, handle func(context.Context, job.Message) error) func(context.Context, job.Message) error {
	return func(ctx context.Context, m job.Message) error {
		var span Span
		ctx = With(ctx, m.Trail)
		if m.Foreign && m.Trail.Parent == "" {
			ctx, span = Begin(ctx, Consumer, name, job.Trail{})
		} else {
			ctx, span = Start(ctx, Consumer, name)
		}
		span.Set(String("job", m.Video))
		err := handle(ctx, m)
		span.End(err)
		return err
	}
}

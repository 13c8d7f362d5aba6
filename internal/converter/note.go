package converter

import (
	"context"

	"mp3converter/internal/job"
	"mp3converter/internal/persist"
)

// note applies a change to the attempt's job that must not get lost.
func (a *attempt) note(ctx context.Context, change func(*job.Job) error) (job.Job, error) {
	ctx, cancel := persist.Outlive(ctx)
	defer cancel()
	return persist.Update(ctx, a.cfg.Ledger, a.job.ID, change)
}

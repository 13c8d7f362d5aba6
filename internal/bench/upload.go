package main

import (
	"context"
	"fmt"

	"mp3converter/internal/mongodb"
)

// warmUp is the size of an upload that has been through everything once, and holds next to no memory for that.
const warmUp = mongodb.ChunkSize

// measureUpload compares uploads through the gateway with raw inserts of the same chunks into the same store.
func measureUpload(ctx context.Context, b *bench) (table, error) {
	t := table{Title: "Upload into FerretDB, against raw inserts of the same chunks", Base: "raw", Notes: []string{
		"raw is the bare driver, " + fmt.Sprintf("%d writers per file, %d chunks per insert", b.Writers, b.Batch) + "; ours adds HTTP, multipart, SHA-256 and the ledger, and the client's share of the processors",
		"memory is the gateway's peak (VmHWM) over what it had after a first small upload, for each upload that was under way",
	}}
	s, err := b.newStand(ctx)
	if err != nil {
		return t, err
	}
	defer s.close()
	base, err := s.idle(ctx)
	if err != nil {
		return t, s.blame(err)
	}
	for _, n := range b.Parallel {
		rows, err := s.uploads(ctx, n, base)
		if err != nil {
			return t, s.blame(err)
		}
		t.Rows = append(t.Rows, rows...)
		t.Notes = append(t.Notes, b.smaller(n)...)
	}
	return t, nil
}

// idle is the memory of a gateway that has taken one small upload, in bytes.
func (s *stand) idle(ctx context.Context) (int64, error) {
	if err := s.user.uploadNoise(ctx, warmUp); err != nil {
		return 0, err
	}
	m, err := memoryOf(s.gateway.pid)
	return m.now, err
}

// uploads measures n at once. The gateway had base bytes of memory before.
func (s *stand) uploads(ctx context.Context, n int, base int64) ([]row, error) {
	size := s.bench.bytesEach(n)
	what := fmt.Sprintf("%d at once, %d MB each", n, size/mega)
	before, err := cpuOf(s.gateway.pid)
	if err != nil {
		return nil, err
	}
	raw, ours, err := s.bench.compare(ctx, "upload "+what,
		s.onEmpty(many(n, size, func(ctx context.Context) error { return s.store.insert(ctx, size, s.bench.Batch, s.bench.Writers) })),
		s.onEmpty(many(n, size, func(ctx context.Context) error { return s.user.uploadNoise(ctx, size) })))
	if err != nil {
		return nil, err
	}
	after, err := cpuOf(s.gateway.pid)
	if err != nil {
		return nil, err
	}
	m, err := memoryOf(s.gateway.pid)
	sent := float64(size) * float64(n*s.bench.Rounds)
	return []row{
		compared("upload, "+what, "MB/s", raw, ours).against(atLeast(0.80)),
		value("  memory per upload", float64(m.peak-base)/mebi/float64(n), "%.1f MiB").against(atMost(20)),
		value("  gateway's CPU per GiB", after.minus(before).own.Seconds()/sent*(1<<30), "%.2f s"),
	}, err
}

// onEmpty is a side that begins with an empty store.
func (s *stand) onEmpty(do side) side {
	return func(ctx context.Context) (float64, error) {
		if err := s.store.empty(ctx); err != nil {
			return 0, err
		}
		return do(ctx)
	}
}

// smaller says that files had to be smaller than asked for.
func (b *bench) smaller(parallel int) []string {
	size := b.bytesEach(parallel)
	if size == b.MB*mega {
		return nil
	}
	return []string{fmt.Sprintf("%d at once are of %d MB, not %d: together more than %d MB take FerretDB, on SQLite, too long; -most 0 lifts the bound",
		parallel, size/mega, b.MB, b.Most)}
}

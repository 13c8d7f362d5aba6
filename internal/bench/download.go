package main

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// measureDownload compares downloads through the gateway with raw reads of the same chunks from the same store.
func measureDownload(ctx context.Context, b *bench) (table, error) {
	t := table{Title: "Download from FerretDB, against raw reads of the same chunks", Base: "raw", Notes: []string{
		"all read one and the same file: FerretDB goes through everything that is stored for each query, and sorts it in memory",
		"no Range; raw is one cursor of the bare driver for each reader",
	}}
	s, err := b.newStand(ctx)
	if err != nil {
		return t, err
	}
	defer s.close()
	for _, n := range b.Parallel {
		rows, err := s.downloads(ctx, n)
		if err != nil {
			return t, s.blame(err)
		}
		t.Rows = append(t.Rows, rows...)
		t.Notes = append(t.Notes, b.smaller(n)...)
	}
	return t, nil
}

// downloads measures n at once.
func (s *stand) downloads(ctx context.Context, n int) ([]row, error) {
	size := s.bench.bytesEach(n)
	if err := s.store.empty(ctx); err != nil {
		return nil, err
	}
	fid, err := seed(ctx, s.store.ours.MP3s(), s.store.ours.Jobs(), userName, size)
	if err != nil {
		return nil, err
	}
	file, err := bson.ObjectIDFromHex(fid)
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("%d at once, %d MB each", n, size/mega)
	raw, ours, err := s.bench.compare(ctx, "download "+what,
		many(n, size, func(ctx context.Context) error { return s.store.find(ctx, file, size) }),
		many(n, size, func(ctx context.Context) error { return s.user.download(ctx, fid, size) }))
	return []row{compared("download, "+what, "MB/s", raw, ours).against(atLeast(0.90).aim())}, err
}

package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

const (
	firstBytes   = 150  // of either side in a round: enough for a 99th percentile
	firstBytesOf = mega // FerretDB reads all of it for each find
)

// measureFirstByte compares how long a download's first byte takes with the store's own finds of the same file.
func measureFirstByte(ctx context.Context, b *bench) (table, error) {
	t := table{Title: "First byte of a download from FerretDB, against the store's own finds", Base: "raw", Notes: []string{
		fmt.Sprintf("raw is the bare driver: the file's description and its first chunks; ours adds HTTP, the token's validation and the look into the ledger. %d of either side, in turn; the result is of the differences, pair by pair, so a pause of FerretDB's in one of a pair is in it; in the last row it is the difference of the quantiles", b.Rounds*firstBytes),
	}}
	s, err := b.newStand(ctx)
	if err != nil {
		return t, err
	}
	defer s.close()
	fid, err := seed(ctx, s.store.ours.MP3s(), s.store.ours.Jobs(), userName, firstBytesOf)
	if err != nil {
		return t, s.blame(err)
	}
	file, err := bson.ObjectIDFromHex(fid)
	if err != nil {
		return t, err
	}
	var raw, ours samples
	for i := range b.Rounds*firstBytes + 2 {
		start := time.Now()
		if err := s.store.findFirst(ctx, file); err != nil {
			return t, s.blame(err)
		}
		find := time.Since(start)
		first, err := s.user.firstByte(ctx, fid, firstBytesOf)
		if err != nil {
			return t, s.blame(err)
		}
		if i < 2 { // connections are made
			continue
		}
		raw, ours = append(raw, milliseconds(find)), append(ours, milliseconds(first))
	}
	b.say("first byte: %.1f ms, the store's find %.1f ms", ours.median(), raw.median())
	t.Rows = []row{
		beyond("first byte, beyond the find, p50", raw, ours, 0.50).against(atMost(5)),
		beyond("first byte, beyond the find, p99", raw, ours, 0.99).against(atMost(5)),
		apart("p99 of the first byte, beyond the find's p99", raw, ours, 0.99).against(atMost(5)),
	}
	return t, nil
}

// findFirst is the least that a reader of the file needs before its first byte.
func (s *store) findFirst(ctx context.Context, file bson.ObjectID) error {
	files := s.bare.Database("mp3s").Collection("fs.files")
	if err := files.FindOne(ctx, bson.D{{Key: "_id", Value: file}}).Err(); err != nil {
		return fmt.Errorf("find file: %w", err)
	}
	const batch = 2
	cursor, err := s.chunks("mp3s").Find(ctx, bson.D{{Key: "files_id", Value: file}},
		options.Find().SetSort(bson.D{{Key: "n", Value: 1}}).SetBatchSize(batch))
	if err != nil {
		return fmt.Errorf("find chunks: %w", err)
	}
	defer cursor.Close(ctx)
	if !cursor.Next(ctx) {
		return fmt.Errorf("find chunks: %w", cursor.Err())
	}
	return nil
}

// firstByte is how long a download's first byte takes. The rest is read, too, so that nobody's next find meets its end.
func (c *client) firstByte(ctx context.Context, fid string, size int64) (time.Duration, error) {
	req, err := c.request(ctx, "GET", "/download?fid="+fid, nil)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	resp, err := c.send(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var first [1]byte
	if _, err := io.ReadFull(resp.Body, first[:]); err != nil {
		return 0, err
	}
	took := time.Since(start)
	rest, err := io.Copy(io.Discard, resp.Body)
	if err == nil {
		err = wantBytes(rest+1, size)
	}
	return took, err
}

// beyond is the row of two sides whose value is a quantile of the milliseconds by which ours exceeds the other that was
// taken just before.
func beyond(what string, base, ours samples, q float64) row {
	more := make(samples, len(ours))
	for i := range ours {
		more[i] = ours[i] - base[i]
	}
	return row{What: what, Unit: "ms", Base: base, Ours: ours, Value: more.quantile(q), Format: "%.1f ms"}
}

// apart is the row of two sides whose value is by how many milliseconds a quantile of ours exceeds the base's own.
func apart(what string, base, ours samples, q float64) row {
	return row{What: what, Unit: "ms", Base: base, Ours: ours, Value: ours.quantile(q) - base.quantile(q), Format: "%.1f ms"}
}

// quantile is the sample that a share q of them does not exceed; 0 if there are none.
func (s samples) quantile(q float64) float64 {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	return sorted[min(len(s)-1, int(q*float64(len(s))))]
}

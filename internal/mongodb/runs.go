package mongodb

import (
	"encoding/binary"
	"slices"
	"sort"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// runs says whose the chunks of a file are that has arrived in parts: from which number on they have which ids. A run is the
// number, four bytes, and the id that chunk 0 would have in it, twelve.
type runs []byte

const runBytes = 4 + 12

// add returns the runs with one more, from chunk n on.
func (r runs) add(n int64, first bson.ObjectID) runs {
	r = binary.BigEndian.AppendUint32(slices.Clip(r), uint32(n)) //nolint:gosec // at most maxChunks
	return append(r, first[:]...)
}

// of returns the id that chunk 0 would have in the run around chunk n; of none, no id.
func (r runs) of(n int64) (first bson.ObjectID) {
	after := sort.Search(len(r)/runBytes, func(i int) bool { return int64(binary.BigEndian.Uint32(r[i*runBytes:])) > n })
	if after > 0 {
		copy(first[:], r[(after-1)*runBytes+4:])
	}
	return first
}

package mongodb

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// sink is a server that says yes to everything and keeps nothing: what is measured against it is our side alone.
type sink struct {
	uri    string
	insert func() // before each answer to an insert
}

func newSink(tb testing.TB, insert func()) *sink {
	tb.Helper()
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s := &sink{uri: "mongodb://" + l.Addr().String() + "/?directConnection=true", insert: insert}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { s.serve(c) })
		}
	})
	tb.Cleanup(func() { l.Close(); running.Wait() }) // the client, closed before, has closed its connections
	return s
}

const (
	opReply = 1
	opQuery = 2004
	opMsg   = 2013
)

func (s *sink) serve(c net.Conn) {
	defer c.Close()
	for {
		var head [16]byte // length, id, in answer to, opcode
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return
		}
		rest := int64(binary.LittleEndian.Uint32(head[0:])) - 16
		op := binary.LittleEndian.Uint32(head[12:])
		start := make([]byte, min(rest, 64))
		if _, err := io.ReadFull(c, start); err != nil {
			return
		}
		if _, err := io.CopyN(io.Discard, c, rest-int64(len(start))); err != nil {
			return
		}
		if op == opMsg && string(start[10:16]) == "insert" { // flags, section kind, document length, string type
			s.insert()
		}
		if _, err := c.Write(answer(op, head[4:8])); err != nil {
			return
		}
	}
}

// answer is an OP_REPLY to the OP_QUERY of the handshake and an OP_MSG to everything after.
func answer(op uint32, to []byte) []byte {
	doc, _ := bson.Marshal(bson.D{
		{Key: "ok", Value: 1}, {Key: "n", Value: 1}, {Key: "isWritablePrimary", Value: true}, {Key: "ismaster", Value: true},
		{Key: "helloOk", Value: true}, {Key: "maxWireVersion", Value: 21}, {Key: "minWireVersion", Value: 0},
		{Key: "maxBsonObjectSize", Value: 16 << 20}, {Key: "maxMessageSizeBytes", Value: 48000000}, {Key: "maxWriteBatchSize", Value: 100000},
	})
	body, code := make([]byte, 5), uint32(opMsg) // flags and a section of kind 0
	if op == opQuery {
		body, code = make([]byte, 20), opReply // flags, cursor, start; one document
		body[16] = 1
	}
	out := binary.LittleEndian.AppendUint32(nil, uint32(16+len(body)+len(doc)))
	out = append(out, 0, 0, 0, 0)
	out = binary.LittleEndian.AppendUint32(append(out, to...), code)
	return append(append(out, body...), doc...)
}

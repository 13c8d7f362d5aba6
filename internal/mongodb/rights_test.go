package mongodb

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// catalogue answers as a mongod does that knows roles, as far as Grant asks: there is none to be had here.
type catalogue struct {
	mu    sync.Mutex
	there map[string]bson.D // kind and name; without the password, which is in passwords
	pwds  map[string]string
}

func (c *catalogue) answer(command bson.D) bson.D {
	c.mu.Lock()
	defer c.mu.Unlock()
	name, _ := command[0].Value.(string)
	verb, kind := command[0].Key, ""
	for _, v := range []string{"create", "update"} {
		if rest, ok := strings.CutPrefix(command[0].Key, v); ok {
			verb, kind = v, rest
		}
	}
	key := kind + " " + name
	_, exists := c.there[key]
	refused := func(code int32) bson.D {
		return bson.D{{Key: "ok", Value: 0}, {Key: "code", Value: code}, {Key: "errmsg", Value: key + " is wrong"}}
	}
	switch {
	case kind == "" && verb == "buildInfo":
		return bson.D{{Key: "version", Value: "8.0.0"}, {Key: "ok", Value: 1}}
	case kind == "" || verb == "update" && !exists:
		return refused(11) // UserNotFound
	case verb == "create" && exists:
		return refused(map[string]int32{"Role": 51002, "User": 51003}[kind])
	}
	var kept bson.D
	for _, e := range command[1:] {
		switch e.Key {
		case "pwd":
			c.pwds[name], _ = e.Value.(string)
		case "privileges", "roles":
			kept = append(kept, e)
		}
	}
	c.there[key] = kept
	return bson.D{{Key: "ok", Value: 1}}
}

// serve speaks MongoDB's protocol on one connection.
func (c *catalogue) serve(conn net.Conn) {
	defer conn.Close()
	for {
		head := make([]byte, 16)
		if _, err := io.ReadFull(conn, head); err != nil {
			return
		}
		body := make([]byte, binary.LittleEndian.Uint32(head)-16)
		if _, err := io.ReadFull(conn, body); err != nil {
			return
		}
		greeting := binary.LittleEndian.Uint32(head[12:]) == 2004 // OP_QUERY
		var command bson.D
		if !greeting && bson.Unmarshal(body[5:], &command) != nil {
			return
		}
		op, front := uint32(2013), make([]byte, 5) // OP_MSG: flags, and the kind of its only section
		if greeting {
			op, front = 1, append(make([]byte, 16), 1, 0, 0, 0) // OP_REPLY of one document
		}
		var reply bson.D
		if greeting || command[0].Key == "hello" || command[0].Key == "ping" {
			reply = bson.D{
				{Key: "ok", Value: 1}, {Key: "helloOk", Value: true}, {Key: "isWritablePrimary", Value: true}, {Key: "ismaster", Value: true},
				{Key: "maxBsonObjectSize", Value: 16 << 20}, {Key: "maxMessageSizeBytes", Value: 48000000}, {Key: "maxWriteBatchSize", Value: 100000},
				{Key: "minWireVersion", Value: 0}, {Key: "maxWireVersion", Value: 25},
			}
		} else {
			reply = c.answer(command)
		}
		doc, err := bson.Marshal(reply)
		if err != nil {
			return
		}
		out := binary.LittleEndian.AppendUint32(nil, uint32(16+len(front)+len(doc)))
		out = append(append(out, 0, 0, 0, 0), head[4:8]...)
		out = append(append(binary.LittleEndian.AppendUint32(out, op), front...), doc...)
		if _, err := conn.Write(out); err != nil {
			return
		}
	}
}

func TestGrantMakesRolesAndUsersAndChangesThoseThereAre(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &catalogue{there: map[string]bson.D{}, pwds: map[string]string{}}
	var open sync.WaitGroup
	t.Cleanup(func() { l.Close(); open.Wait() })
	open.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() { c.serve(conn) })
		}
	})
	client, err := Connect("mongodb://"+l.Addr().String()+"/?directConnection=true", t.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close(t.Context())
	c.there["Role notification"] = bson.D{{Key: "privileges", Value: "too many"}}
	for _, passwords := range []map[string]string{
		{"gateway": "g", "converter": "c", "notification": "n"}, {"gateway": "g2", "converter": "c2", "notification": "n2"},
	} {
		roles, err := grantAll(t.Context(), client.mongo.Database(admin), passwords)
		if err != nil || !roles {
			t.Fatalf("Grant: %v, %v", roles, err)
		}
		if diff := cmp.Diff(passwords, c.pwds); diff != "" {
			t.Errorf("passwords:\n%s", diff)
		}
	}
	got, err := bson.MarshalExtJSON(c.there["Role notification"], false, false)
	const want = `{"privileges":[{"resource":{"db":"mp3s","collection":"fs.files"},"actions":["find"]},` +
		`{"resource":{"db":"jobs","collection":"jobs"},"actions":["find","insert","update","createIndex"]},` +
		`{"resource":{"db":"hooks","collection":"hooks"},"actions":["find","update","createIndex"]},` +
		`{"resource":{"db":"hooks","collection":"deliveries"},"actions":["find","insert","update","createIndex"]}],"roles":[]}`
	if string(got) != want || err != nil {
		t.Errorf("the role of notification: %s, %v, want %s", got, err, want)
	}
	got, err = bson.MarshalExtJSON(c.there["User converter"], false, false)
	if want := `{"roles":[{"role":"converter","db":"admin"}]}`; string(got) != want || err != nil || len(c.there) != 6 {
		t.Errorf("the user converter: %s, %v, want %s; and %d roles and users, want 6", got, err, want, len(c.there))
	}
}

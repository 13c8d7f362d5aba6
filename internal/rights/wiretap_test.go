package rights

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// wiretap passes on what a client and MongoDB say to each other, and notes each command of the client's.
type wiretap struct {
	Addr string

	mu       sync.Mutex
	commands map[command]bool
	troubles []string // what could not be read
}

// command is what MongoDB decides by.
type command struct{ Name, Database, Collection string }

// tap returns one between a service and the server.
func tap(t *testing.T, to string) *wiretap {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wiretap{Addr: l.Addr().String(), commands: map[command]bool{}}
	var open sync.WaitGroup
	t.Cleanup(func() { l.Close(); open.Wait() })
	open.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() { w.serve(client, to) })
		}
	})
	return w
}

func (w *wiretap) serve(client net.Conn, to string) {
	defer client.Close()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	go func() { _, _ = io.Copy(client, server); client.Close() }() // ends with either
	for {
		message, err := receive(client)
		if err != nil {
			return
		}
		w.note(message)
		if _, err := server.Write(message); err != nil {
			return
		}
	}
}

const header = 16 // bytes: length, request, response, operation

func receive(from io.Reader) ([]byte, error) {
	head := make([]byte, header)
	if _, err := io.ReadFull(from, head); err != nil {
		return nil, err
	}
	length := binary.LittleEndian.Uint32(head)
	if length < header || length > 48<<20 {
		return nil, fmt.Errorf("a message of %d bytes", length)
	}
	message := make([]byte, length)
	copy(message, head)
	_, err := io.ReadFull(from, message[header:])
	return message, err
}

// What operations there are: all but the first greeting is opMsg.
const (
	opMsg   = 2013
	opQuery = 2004
)

func (w *wiretap) note(message []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, err := parse(message)
	switch {
	case err != nil:
		w.troubles = append(w.troubles, err.Error())
	case c.Name != "":
		w.commands[c] = true
	}
}

func parse(message []byte) (command, error) {
	switch op := binary.LittleEndian.Uint32(message[12:]); op {
	case opQuery:
		return command{}, nil
	case opMsg:
	default:
		return command{}, fmt.Errorf("operation %d", op)
	}
	for sections := message[header+4:]; len(sections) > 4; { // after the flags
		kind, body := sections[0], sections[1:]
		length := binary.LittleEndian.Uint32(body)
		if int(length) > len(body) {
			return command{}, fmt.Errorf("a section of %d bytes", length)
		}
		if kind == 0 {
			return commandOf(bson.Raw(body[:length]))
		}
		sections = body[length:]
	}
	return command{}, fmt.Errorf("no command in %d bytes", len(message))
}

func commandOf(doc bson.Raw) (command, error) {
	elements, err := doc.Elements()
	if err != nil {
		return command{}, err
	}
	c := command{Name: elements[0].Key()}
	c.Database, _ = doc.Lookup("$db").StringValueOK()
	if on, ok := elements[0].Value().StringValueOK(); ok {
		c.Collection = on
	} else {
		c.Collection, _ = doc.Lookup("collection").StringValueOK() // of a cursor
	}
	return c, nil
}

// seen are the commands so far.
func (w *wiretap) seen(t *testing.T) map[command]bool {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, trouble := range w.troubles {
		t.Errorf("not understood: %s", trouble)
	}
	all := map[command]bool{}
	for c := range w.commands {
		all[c] = true
	}
	return all
}

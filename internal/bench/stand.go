package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"mp3converter/internal/testserver"
)

// servers are the real ones that hold little: started once for all measurements, by us and for us alone.
type servers struct {
	rabbitmq *testserver.Rabbit
	mysql    *testserver.MariaDB
}

// servers starts them for the first who needs them.
func (b *bench) servers() (*servers, error) {
	if b.shared != nil {
		return b.shared, nil
	}
	b.say("starting RabbitMQ and MariaDB")
	b.shared = &servers{}
	var err error
	if b.shared.rabbitmq, err = testserver.StartRabbitMQ(); err != nil {
		return nil, err
	}
	if b.shared.mysql, err = testserver.StartMariaDB(); err != nil {
		return nil, err
	}
	script, err := testserver.InitSQL()
	if err != nil {
		return nil, err
	}
	_, err = b.shared.mysql.SQL(script)
	return b.shared, err
}

func (s *servers) stop() {
	if s.rabbitmq != nil {
		remove(s.rabbitmq.Server)
	}
	if s.mysql != nil {
		remove(s.mysql.Server)
	}
}

// remove ends a server and removes its data.
func remove(s *testserver.Server) {
	if s != nil {
		s.Kill()
		_ = os.RemoveAll(s.Dir)
	}
}

// The user of init.sql.
const (
	userName     = "sid@gmail.com"
	userPassword = "sid123"
)

// stand is a gateway with all that it needs, and its store empty: fresh for each measurement, so that none pays for what
// another has left in a process's memory.
type stand struct {
	store    *store
	auth     *program
	authAddr string
	gateway  *program
	user     *client // has logged in

	bench    *bench
	backend  []string // the environment of whoever uses store and broker
	ferretdb *testserver.FerretDB
	started  []*program
}

// newStand starts one. environ is the gateway's, beside what it needs.
func (b *bench) newStand(ctx context.Context, environ ...string) (_ *stand, err error) {
	shared, err := b.servers()
	if err != nil {
		return nil, err
	}
	s := &stand{bench: b}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.ferretdb, err = testserver.StartFerretDB(); err != nil {
		return nil, err
	}
	if s.store, err = openStore(ctx, s.ferretdb.URI()); err != nil {
		return nil, err
	}
	s.backend = []string{"MONGODB_URI=" + s.ferretdb.URI(), "RABBITMQ_URL=" + shared.rabbitmq.URL()}
	return s, s.startGateway(ctx, shared.mysql, environ)
}

// startGateway runs auth and gateway, and logs in.
func (s *stand) startGateway(ctx context.Context, users *testserver.MariaDB, environ []string) error {
	host, port, err := net.SplitHostPort(users.Addr)
	if err != nil {
		return err
	}
	if s.authAddr, err = testserver.FreeAddr(); err != nil {
		return err
	}
	gatewayAddr, err := testserver.FreeAddr()
	if err != nil {
		return err
	}
	s.auth, err = s.run(ctx, "auth", "LISTEN="+s.authAddr, "JWT_SECRET="+strings.Repeat("bench", 8),
		"MYSQL_HOST="+host, "MYSQL_PORT="+port, "MYSQL_PASSWORD="+testserver.MySQLPassword)
	if err != nil {
		return err
	}
	s.gateway, err = s.run(ctx, "gateway", slices.Concat(s.backend, environ, []string{"LISTEN=" + gatewayAddr, "AUTH_SVC_ADDRESS=" + s.authAddr})...)
	if err != nil {
		return err
	}
	s.user, err = login(ctx, "http://"+gatewayAddr, userName, userPassword)
	return err
}

// run starts a program that ends with the stand.
func (s *stand) run(ctx context.Context, name string, environ ...string) (*program, error) {
	p, err := s.bench.run(ctx, name, environ...)
	if err == nil {
		s.started = append(s.started, p)
	}
	return p, err
}

func (s *stand) close() {
	for _, p := range slices.Backward(s.started) {
		p.stop()
	}
	if s.store != nil {
		s.store.close()
	}
	if s.ferretdb != nil {
		remove(s.ferretdb.Server)
	}
}

// blame adds to an error what the programs complained of last. It stops them: some complain late.
func (s *stand) blame(err error) error {
	if err == nil {
		return nil
	}
	for _, p := range slices.Backward(s.started) {
		p.stop()
		if said := p.said(); said != "" {
			err = errors.Join(err, fmt.Errorf("%s said: %s", p.name, said))
		}
	}
	return err
}

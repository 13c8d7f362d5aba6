package faults

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"mp3converter/internal/testserver"
	"mp3converter/internal/testsuite"
)

// disaster breaks one thing and makes it whole again after a pause.
type disaster struct {
	name   string
	target string // a slot without its number, or a server
	strike func(s *soak, t *testing.T, target string, pause time.Duration) error
	twice  int // mails that it can make come twice
}

// mailers are the notifications of a soak, each with one mail at a time. What all of them need can fail them all between
// a mail's end and its note.
const mailers = 2

// disasters are what may happen in a soak.
var disasters = []disaster{
	{"kill -9 of auth", "auth", kill, 0}, {"kill -9 of a gateway", "gateway", kill, 0},
	{"kill -9 of a converter", "converter", kill, 0}, {"kill -9 of a notification", "notification", kill, 1},
	{"SIGTERM of auth", "auth", terminate, 0}, {"SIGTERM of a gateway", "gateway", terminate, 0},
	{"SIGTERM of a converter", "converter", terminate, 0}, {"SIGTERM of a notification", "notification", terminate, 1},
	{"freeze of a gateway", "gateway", freeze, 0}, {"freeze of a converter", "converter", freeze, 0}, {"freeze of a notification", "notification", freeze, 1},
	{"kill -9 of the store", "store", func(s *soak, _ *testing.T, _ string, pause time.Duration) error {
		s.Mongo.Kill()
		time.Sleep(pause)
		return s.Mongo.Restart()
	}, mailers},
	{"freeze of the store", "store", func(s *soak, _ *testing.T, _ string, pause time.Duration) error {
		return frozen(s.Mongo.Server, pause)
	}, mailers},
	{"kill -9 of the broker", "broker", func(s *soak, _ *testing.T, _ string, pause time.Duration) error {
		if err := s.broker.Flush(); err != nil {
			return err
		}
		s.broker.Kill()
		time.Sleep(pause)
		return s.broker.Restart()
	}, mailers},
	{"the broker's data erased", "broker", func(s *soak, _ *testing.T, _ string, pause time.Duration) error {
		s.broker.Kill()
		time.Sleep(pause)
		if err := s.broker.Erase(); err != nil {
			return err
		}
		return s.broker.Restart()
	}, mailers},
	{"freeze of the broker", "broker", func(s *soak, _ *testing.T, _ string, pause time.Duration) error {
		return frozen(s.broker.Server, pause)
	}, mailers},
	{"memory alarm of the broker", "broker", func(s *soak, _ *testing.T, _ string, pause time.Duration) error {
		if _, err := s.broker.Ctl("set_vm_memory_high_watermark", "0"); err != nil {
			return err
		}
		time.Sleep(pause)
		_, err := s.broker.Ctl("set_vm_memory_high_watermark", "0.4")
		return err
	}, 0},
	{"queue deleted", "broker", func(s *soak, _ *testing.T, _ string, _ time.Duration) error {
		_, err := s.broker.Ctl("eval", `[rabbit_amqqueue:delete(Q, false, false, <<"soak">>) || Q <- rabbit_amqqueue:list(), lists:member(element(4, element(2, Q)), [<<"video">>, <<"mp3">>])].`)
		return err
	}, mailers},
	{"kill -9 of MySQL", "mysql", func(s *soak, _ *testing.T, _ string, pause time.Duration) error {
		s.mysql.Kill()
		time.Sleep(pause)
		return s.mysql.Restart()
	}, 0},
	{"freeze of MySQL", "mysql", func(s *soak, _ *testing.T, _ string, pause time.Duration) error {
		return frozen(s.mysql.Server, pause)
	}, 0},
	{"greylisting", "mail server", func(s *soak, _ *testing.T, _ string, pause time.Duration) error {
		s.At.SMTP.Always(testserver.AtRcpt, testserver.Say(451, "4.7.1 greylisted"))
		time.Sleep(pause)
		s.At.SMTP.Always(testserver.AtRcpt, testserver.Pass())
		return nil
	}, 0},
	{"the mail server hangs up before it takes a mail", "mail server", func(s *soak, _ *testing.T, _ string, _ time.Duration) error {
		s.At.SMTP.At(testserver.AtData, testserver.Drop())
		return nil
	}, 0},
	{"the mail server hangs up after it has taken a mail", "mail server", func(s *soak, _ *testing.T, _ string, _ time.Duration) error {
		s.At.SMTP.At(testserver.AfterData, testserver.Drop())
		return nil
	}, 1},
}

// alive returns what runs in the slot, which nothing but the disaster at hand may end.
func (s *soak) alive(slot string) (*testsuite.Process, error) {
	p := s.slot(slot)
	if p.Ended() {
		return nil, errors.New("it has ended by itself")
	}
	return p, nil
}

// kill ends a process as kill -9 does; after the pause it is started again.
func kill(s *soak, t *testing.T, slot string, pause time.Duration) error {
	p, err := s.alive(slot)
	if err != nil {
		return err
	}
	p.Kill()
	time.Sleep(pause)
	s.fill(slot, p.Relaunch(t))
	return nil
}

// terminate ends a process as Kubernetes does, and starts another.
func terminate(s *soak, t *testing.T, slot string, _ time.Duration) error {
	p, err := s.alive(slot)
	if err != nil {
		return err
	}
	p.Serving(t, "ops") // one that was just started does not obey signals yet
	p.Stop(t)
	s.fill(slot, p.Relaunch(t))
	return nil
}

// freeze stops a process for longer than its lease, perhaps, and lets it go on.
func freeze(s *soak, _ *testing.T, slot string, pause time.Duration) error {
	p, err := s.alive(slot)
	if err != nil {
		return err
	}
	p.Signal(syscall.SIGSTOP)
	time.Sleep(pause + time.Second)
	p.Signal(syscall.SIGCONT)
	return nil
}

func frozen(server *testserver.Server, pause time.Duration) error {
	server.Signal(syscall.SIGSTOP)
	time.Sleep(pause + time.Second)
	server.Signal(syscall.SIGCONT)
	return nil
}

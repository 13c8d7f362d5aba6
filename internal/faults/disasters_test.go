package faults

import (
	"syscall"
	"testing"
	"time"

	"mp3converter/internal/testserver"
)

// disaster breaks one thing and makes it whole again after a pause.
type disaster struct {
	name   string
	target string // a slot without its number, or a server
	strike func(s *soak, t *testing.T, target string, pause time.Duration) error
}

// disasters are what may happen in a soak.
var disasters = []disaster{
	{"kill -9 of auth", "auth", kill}, {"kill -9 of a gateway", "gateway", kill},
	{"kill -9 of a converter", "converter", kill}, {"kill -9 of a notification", "notification", kill},
	{"SIGTERM of auth", "auth", terminate}, {"SIGTERM of a gateway", "gateway", terminate},
	{"SIGTERM of a converter", "converter", terminate}, {"SIGTERM of a notification", "notification", terminate},
	{"freeze of a gateway", "gateway", freeze}, {"freeze of a converter", "converter", freeze}, {"freeze of a notification", "notification", freeze},
	{"kill -9 of the store", "store", func(s *soak, _ *testing.T, _ string, pause time.Duration) error {
		s.Mongo.Kill()
		time.Sleep(pause)
		return s.Mongo.Restart()
	}},
	{"freeze of the store", "store", func(s *soak, _ *testing.T, _ string, pause time.Duration) error {
		return frozen(s.Mongo.Server, pause)
	}},
	{"kill -9 of the broker", "broker", func(s *soak, _ *testing.T, _ string, pause time.Duration) error {
		if err := s.broker.Flush(); err != nil {
			return err
		}
		s.broker.Kill()
		time.Sleep(pause)
		return s.broker.Restart()
	}},
	{"the broker's data erased", "broker", func(s *soak, _ *testing.T, _ string, pause time.Duration) error {
		s.broker.Kill()
		time.Sleep(pause)
		if err := s.broker.Erase(); err != nil {
			return err
		}
		return s.broker.Restart()
	}},
	{"freeze of the broker", "broker", func(s *soak, _ *testing.T, _ string, pause time.Duration) error {
		return frozen(s.broker.Server, pause)
	}},
	{"memory alarm of the broker", "broker", func(s *soak, _ *testing.T, _ string, pause time.Duration) error {
		if _, err := s.broker.Ctl("set_vm_memory_high_watermark", "0"); err != nil {
			return err
		}
		time.Sleep(pause)
		_, err := s.broker.Ctl("set_vm_memory_high_watermark", "0.4")
		return err
	}},
	{"queue deleted", "broker", func(s *soak, _ *testing.T, _ string, _ time.Duration) error {
		_, err := s.broker.Ctl("eval", `[rabbit_amqqueue:delete(Q, false, false, <<"soak">>) || Q <- rabbit_amqqueue:list(), lists:member(element(4, element(2, Q)), [<<"video">>, <<"mp3">>])].`)
		return err
	}},
	{"kill -9 of MySQL", "mysql", func(s *soak, _ *testing.T, _ string, pause time.Duration) error {
		s.mysql.Kill()
		time.Sleep(pause)
		return s.mysql.Restart()
	}},
	{"freeze of MySQL", "mysql", func(s *soak, _ *testing.T, _ string, pause time.Duration) error {
		return frozen(s.mysql.Server, pause)
	}},
	{"greylisting", "mail server", func(s *soak, _ *testing.T, _ string, pause time.Duration) error {
		s.At.SMTP.Always(testserver.AtRcpt, testserver.Say(451, "4.7.1 greylisted"))
		time.Sleep(pause)
		s.At.SMTP.Always(testserver.AtRcpt, testserver.Pass())
		return nil
	}},
	{"the mail server hangs up before it takes a mail", "mail server", func(s *soak, _ *testing.T, _ string, _ time.Duration) error {
		s.At.SMTP.At(testserver.AtData, testserver.Drop())
		return nil
	}},
	{"the mail server hangs up after it has taken a mail", "mail server", func(s *soak, _ *testing.T, _ string, _ time.Duration) error {
		s.At.SMTP.At(testserver.AfterData, testserver.Drop())
		return nil
	}},
}

// kill ends a process as kill -9 does; after the pause it is started again.
func kill(s *soak, t *testing.T, slot string, pause time.Duration) error {
	p := s.slot(slot)
	p.Kill()
	time.Sleep(pause)
	s.fill(slot, p.Relaunch(t))
	return nil
}

// terminate ends a process as Kubernetes does, and starts another.
func terminate(s *soak, t *testing.T, slot string, _ time.Duration) error {
	const grace = time.Minute // far more than GRACE_SECONDS
	p := s.slot(slot)
	p.Signal(syscall.SIGTERM)
	for late := time.Now().Add(grace); !p.Ended(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(late) {
			t.Errorf("%s does not end after SIGTERM", slot)
			p.Kill()
		}
	}
	s.fill(slot, p.Relaunch(t))
	return nil
}

// freeze stops a process for longer than its lease, perhaps, and lets it go on.
func freeze(s *soak, _ *testing.T, slot string, pause time.Duration) error {
	p := s.slot(slot)
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

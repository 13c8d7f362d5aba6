package main

import (
	"context"
	"crypto/rand"
	"os"
	"time"

	"golang.org/x/crypto/argon2"
)

// logins are those of either side in a round.
const logins = 40

// measureLogin compares logins with the bare hash of a password at the same cost.
func measureLogin(ctx context.Context, b *bench) (table, error) {
	t := table{Title: "Login, against Argon2id at the same cost and nothing else", Base: "bare", Notes: []string{
		"the bare hash is a call in this process; a login goes through gateway, auth and MariaDB. CPU is auth's and the gateway's own",
	}}
	s, err := b.newStand(ctx)
	if err != nil {
		return t, err
	}
	defer s.close()
	var bare, ours, bareCPU, oursCPU, gatewayCPU samples
	for i := range b.Rounds*logins + 2 {
		hash, hashCPU, err := timed(func() error { bareHash(); return nil }, os.Getpid())
		if err != nil {
			return t, err
		}
		var authCPU time.Duration
		login, bothCPU, err := timed(func() (err error) {
			authCPU, err = spent(func() error { _, err := s.user.login(ctx, userName, userPassword); return err }, s.auth.pid)
			return err
		}, s.auth.pid, s.gateway.pid)
		if err != nil {
			return t, s.blame(err)
		}
		if i < 2 { // connections and heaps are made
			continue
		}
		bare, ours = append(bare, milliseconds(hash)), append(ours, milliseconds(login))
		bareCPU, oursCPU = append(bareCPU, milliseconds(hashCPU)), append(oursCPU, milliseconds(bothCPU))
		gatewayCPU = append(gatewayCPU, milliseconds(bothCPU-authCPU))
	}
	b.say("login: %.1f ms, its hash %.1f ms", ours.median(), bare.median())
	t.Rows = []row{
		beyond("login, beyond the hash", bare, ours, 0.50).against(atMost(2)),
		beyond("  CPU, beyond the hash's", bareCPU, oursCPU, 0.50).against(atMost(2)),
		value("  of it the gateway's", gatewayCPU.median(), "%.1f ms"),
	}
	return t, nil
}

// bareHash is what package auth does for a password: m=19456, t=2, p=1.
func bareHash() {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt)
	argon2.IDKey([]byte(userPassword), salt, 2, 19*1024, 1, 32)
}

// timed is how long do takes, and the processor time that the processes use meanwhile.
func timed(do func() error, pids ...int) (took, cpu time.Duration, err error) {
	start := time.Now()
	cpu, err = spent(do, pids...)
	return time.Since(start), cpu, err
}

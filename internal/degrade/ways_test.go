package degrade

import (
	"net"
	"net/http"
	"os"
	"testing"

	"mp3converter/internal/testserver"
)

// way is how something can be down.
type way struct {
	how  string
	down func(t *testing.T, w *world) (up func())
}

// Refused is nobody listening, and whoever was connected thrown out. Frozen is a process that is stopped: its kernel still
// accepts connections, and nobody answers.
var (
	mysqlRefused = way{"refused", func(t *testing.T, w *world) func() {
		w.doors.mysql.Shut()
		return func() { w.doors.mysql.Open(t) }
	}}
	mysqlFrozen = way{"frozen", func(t *testing.T, w *world) func() { return w.mysql.Freeze(t) }}

	authRefused = way{"refused", func(t *testing.T, w *world) func() {
		w.Auth.Stop(t)
		return func() { w.StartAuth() }
	}}
	authFrozen = way{"frozen", func(t *testing.T, w *world) func() { return w.Auth.Freeze(t) }}
	authBroken = way{"answering 500", breakAuth}

	mongoRefused = way{"refused", func(t *testing.T, w *world) func() {
		w.doors.mongo.Shut()
		return func() { w.doors.mongo.Open(t) }
	}}
	mongoFrozen = way{"frozen", func(t *testing.T, w *world) func() { return w.mongo.Freeze(t) }}

	rabbitRefused = way{"refused", func(t *testing.T, w *world) func() {
		w.doors.rabbit.Shut()
		return func() { w.doors.rabbit.Open(t) }
	}}
	rabbitFrozen  = way{"frozen", func(t *testing.T, w *world) func() { return w.rabbit.Freeze(t) }}
	rabbitBlocked = way{"blocked by an alarm", blockRabbit}

	smtpRefused = way{"refused", func(t *testing.T, w *world) func() {
		w.doors.smtp.Shut()
		return func() { w.doors.smtp.Open(t) }
	}}
	smtpHanging = way{"hanging", func(_ *testing.T, w *world) func() {
		w.At.SMTP.Always(testserver.AtGreeting, testserver.Stall())
		return func() { w.At.SMTP.Always(testserver.AtGreeting, testserver.Pass()) }
	}}

	ffmpegMissing = way{"missing at the start", func(t *testing.T, w *world) func() {
		w.release()
		w.Converter.Stop(t)
		up := removeFFmpeg(t, w)
		w.StartConverter()
		return up
	}}
	ffmpegRemoved = way{"removed", removeFFmpeg}
)

// breakAuth puts a server in auth's place that can do nothing.
func breakAuth(t *testing.T, w *world) (up func()) {
	w.Auth.Stop(t)
	listener, err := net.Listen("tcp", w.AuthURL[len("http://"):])
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.WriteHeader(http.StatusInternalServerError)
	})}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener) // until it is closed
	}()
	return func() {
		_ = server.Close()
		<-served
		w.StartAuth()
	}
}

// blockRabbit has the broker believe that it uses too much memory: it takes nothing from who publishes.
func blockRabbit(t *testing.T, w *world) (up func()) {
	watermark := func(share string) {
		if _, err := w.rabbit.Ctl("set_vm_memory_high_watermark", share); err != nil {
			t.Error(err)
		}
	}
	watermark("0")
	return func() { watermark("0.4") }
}

func removeFFmpeg(t *testing.T, w *world) (up func()) {
	if err := os.Rename(w.ffmpeg, w.ffmpeg+".away"); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Rename(w.ffmpeg+".away", w.ffmpeg); err != nil {
			t.Error(err)
		}
	}
}

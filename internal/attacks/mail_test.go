package attacks

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"

	"mp3converter/internal/testsuite"
)

// addresses are of nobody, or of somebody else besides.
var addresses = map[string]string{
	"a header":           "a@b.c\r\nBcc: x@y.z",
	"a bare line feed":   "a@b.c\nBcc: x@y.z",
	"escaped":            "a@b.c%0d%0aBcc: x@y.z",
	"escaped, no space":  "a%0d%0a@b.c",
	"a route":            "x%y.z@b.c",
	"a line separator":   "a\u2028@b.c",
	"a zero width space": "a\u200b@b.c",
	"two":                "a@b.c,x@y.z",
	"two, semicolon":     "a@b.c;x@y.z",
	"a name":             "Ann <a@b.c>",
	"brackets":           "<a@b.c>",
	"quoted":             `"a b"@b.c`,
	"10 KB":              strings.Repeat("a", 10<<10) + "@b.c",
	"a machine":          "a@[127.0.0.1]",
	"SMTP":               "a@b.c> SIZE=1\r\nRCPT TO:<x@y.z",
	"none":               "sid",
}

var mails = []row{
	{number: 62, attack: "addresses with line ends, two of them, 10 KB, quotes: at login, in a token, to auth user add", expected: "401, 403, refused", try: func(p *probe) {
		for variant, address := range addresses {
			if variant != "10 KB" { // 431: the header is too long
				_, got := p.login(p.clientAt(p.place()), testsuite.Basic(address, "x"))
				p.is(variant+" at login", got, invalid)
			}
			name, err := json.Marshal(address)
			if err != nil {
				p.Fatal(err)
			}
			token := sign(hs256, strings.Replace(claims("NAME", ""), `"NAME"`, string(name), 1))
			for _, r := range []testsuite.Request{{Path: "/jobs"}, {Method: "POST", Path: "/upload"}} {
				if r.Auth = "Bearer " + token; len(token) > 12<<10 {
					continue
				}
				_, got := p.send(r)
				p.is(variant+" in a token", got, "403 not authorized")
			}
			cmd := exec.CommandContext(p.Context(), testsuite.Release.Path(p, "auth"), "user", "add", "--", address)
			cmd.Env = append(p.Database(), "PATH="+os.Getenv("PATH"), "JWT_SECRET="+testsuite.JWTSecret)
			cmd.Stdin = strings.NewReader("a long passphrase")
			got := "added"
			if out, err := cmd.CombinedOutput(); err != nil && strings.Contains(string(out), "no e-mail address") {
				got = "auth user add refuses"
			}
			p.is(variant+" at the door", got, "auth user add refuses")
		}
	}},
	{number: 62, attack: "the same in a message of a foreign publisher", expected: "dead letters; no job, no mail. Of all mails each has one recipient, and no Bcc", try: func(p *probe) {
		conn, err := amqp.Dial(p.Broker)
		if err != nil {
			p.Fatal(err)
		}
		defer conn.Close()
		ch, err := conn.Channel()
		if err != nil {
			p.Fatal(err)
		}
		sent := 0
		for _, address := range addresses {
			for _, queue := range []string{"video", "mp3"} {
				message := map[string]any{"video_fid": p.done.ID, "mp3_fid": nil, "username": address}
				if queue == "mp3" {
					message["mp3_fid"] = *p.done.MP3
				}
				body, err := json.Marshal(message)
				if err != nil {
					p.Fatal(err)
				}
				if err := ch.PublishWithContext(p.Context(), "", queue, true, false, amqp.Publishing{Body: body, DeliveryMode: amqp.Persistent}); err != nil {
					p.Fatal(err)
				}
				sent++
			}
		}
		for got := 0; got < sent; { // they are taken away: asBefore wants none
			got += testsuite.Awaited(p, "a dead letter", func() (n int, _ bool) {
				for _, queue := range []string{"video.dead", "mp3.dead"} {
					for {
						_, there, err := ch.Get(queue, true)
						if err != nil {
							p.Fatal(err)
						}
						if !there {
							break
						}
						n++
						p.see("dead letter")
					}
				}
				return n, n > 0
			})
		}
	}},
	{number: 62, attack: "credentials to a mail server whose name is not certified", expected: "none", elsewhere: []string{"internal/smtp TestCredentialsAreOnlySentOnceEncrypted"}},
}

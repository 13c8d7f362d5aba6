package main

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"mp3converter/cmd/internal/backend"
	"mp3converter/cmd/internal/hooks"
	"mp3converter/cmd/internal/links"
	"mp3converter/internal/daemon"
	"mp3converter/internal/job"
	"mp3converter/internal/settings"
	"mp3converter/internal/smtp"
)

// gmail is where the original's two variables belong.
const gmail = "smtp.gmail.com"

// config is the command's environment. The original's two variables are enough for Gmail.
type config struct {
	GmailAddress  string           `env:"GMAIL_ADDRESS" doc:"Gmail account that sends, unless SMTP_USER and MAIL_FROM say otherwise"`
	GmailPassword settings.Secret  `env:"GMAIL_PASSWORD" doc:"its app password"`
	Host          string           `env:"SMTP_HOST" envDefault:"smtp.gmail.com" doc:"mail server"`
	Port          int              `env:"SMTP_PORT" doc:"its port; without it 587 for starttls, 465 for implicit, 25 for none"`
	User          string           `env:"SMTP_USER" doc:"log in as; without it, at Gmail, GMAIL_ADDRESS, elsewhere not at all"`
	Password      settings.Secret  `env:"SMTP_PASSWORD" doc:"its password"`
	TLS           smtp.TLS         `env:"SMTP_TLS" envDefault:"starttls" doc:"starttls, implicit, or none: for a mail catcher only, and never with a password"`
	CAFile        string           `env:"SMTP_CA_FILE" doc:"PEM file of certificates to trust beside the system's"`
	Timeout       settings.Seconds `env:"SMTP_TIMEOUT_SECONDS" envDefault:"60" doc:"patience with the mail server, for one mail"`
	From          string           `env:"MAIL_FROM" doc:"sender's address; without it GMAIL_ADDRESS"`
	Domain        string           `env:"MAIL_DOMAIN" doc:"right of the @ in Message-IDs; without it MAIL_FROM's"`
	BaseURL       string           `env:"BASE_URL" envDefault:"http://mp3converter.com" doc:"the gateway as users reach it, for the address in the mail"`
	Links         links.Settings
	LinkFor       settings.Hours `env:"LINK_HOURS" envDefault:"72" doc:"how long such a link is good"`
	Workers       int            `env:"WORKERS" envDefault:"4" doc:"mails at once"`
	Reach         hooks.Reach
	Courier       hooks.Courier
	Backend       backend.Settings
	Daemon        daemon.Settings
}

// Validate reports what the variables cannot be together.
func (c config) Validate() error {
	mistakes := []error{c.Links.Validate(), c.Courier.Validate(), c.Backend.Validate(), c.Daemon.Validate()}
	if !job.IsAddress(c.from()) {
		mistakes = append(mistakes, errors.New("MAIL_FROM (or GMAIL_ADDRESS): no e-mail address"))
	}
	if c.LinkFor.D() < time.Hour {
		mistakes = append(mistakes, errors.New("LINK_HOURS: at least 1; without links leave LINK_SECRET out"))
	}
	if c.Workers < 1 {
		mistakes = append(mistakes, errors.New("WORKERS: at least 1"))
	}
	_, err := c.sender()
	return errors.Join(append(mistakes, err)...)
}

func (c config) from() string { return cmp.Or(c.From, c.GmailAddress) }

// sender is the mail server that the settings name. Nothing is sent yet.
func (c config) sender() (*smtp.Sender, error) {
	server := smtp.Config{
		Host: c.Host, Port: c.Port, TLS: c.TLS, Timeout: c.Timeout.D(),
		User: c.User, Password: string(c.Password),
	}
	if c.Host == gmail && c.User == "" { // to no other server
		server.User, server.Password = c.GmailAddress, string(c.GmailPassword)
	}
	var mistake error
	if c.CAFile != "" {
		if server.RootCAs, mistake = smtp.RootCAs(c.CAFile); mistake != nil {
			mistake = fmt.Errorf("SMTP_CA_FILE: %w", mistake)
		}
	}
	sender, err := smtp.New(server)
	return sender, errors.Join(mistake, err)
}

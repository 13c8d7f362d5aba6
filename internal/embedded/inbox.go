package embedded

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"mp3converter/internal/job"
)

// Inbox takes the place of a mail server: it keeps what is sent, for whomever it is, and shows it.
type Inbox struct{ db *DB }

// Inbox returns the inbox of the database.
func (db *DB) Inbox() *Inbox { return &Inbox{db} }

// Mail is a letter as it lies in the inbox.
type Mail struct {
	ID int64 // counts up in the order of arrival
	job.Letter
}

// mailsListed bounds a list. Nobody reads further down.
const mailsListed = 200

// Send takes the letter. One that has arrived before is told by its MessageID and not kept twice.
func (b *Inbox) Send(ctx context.Context, l job.Letter) error {
	if l.MessageID == "" {
		return errors.New("take mail: it has no Message-ID")
	}
	_, err := b.db.write.ExecContext(ctx, `INSERT INTO mails (message_id, sender, recipient, subject, body, html, date)
		VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (message_id) DO NOTHING`,
		l.MessageID, l.From, l.To, l.Subject, l.Body, l.HTML, l.Date.UnixMilli())
	if err != nil {
		return fmt.Errorf("take mail %s: %w", l.MessageID, err)
	}
	return nil
}

const selectMail = "SELECT id, message_id, sender, recipient, subject, body, html, date FROM mails"

// List returns the newest 200 mails to that address, or, if it is empty, to anybody; newest first.
func (b *Inbox) List(ctx context.Context, to string) ([]Mail, error) {
	rows, err := b.db.read.QueryContext(ctx, selectMail+" WHERE ?1 = '' OR recipient = ?1 ORDER BY id DESC LIMIT ?2", to, mailsListed)
	if err != nil {
		return nil, fmt.Errorf("list mails: %w", err)
	}
	mails, err := collect(rows, scanMail)
	if err != nil {
		return nil, fmt.Errorf("list mails: %w", err)
	}
	return mails, nil
}

// Get returns one mail; fs.ErrNotExist if there is none.
func (b *Inbox) Get(ctx context.Context, id int64) (Mail, error) {
	m, err := scanMail(b.db.read.QueryRowContext(ctx, selectMail+" WHERE id = ?", id).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		err = fs.ErrNotExist
	}
	if err != nil {
		return Mail{}, fmt.Errorf("get mail %d: %w", id, err)
	}
	return m, nil
}

func scanMail(scan func(...any) error) (m Mail, err error) {
	var date int64
	err = scan(&m.ID, &m.MessageID, &m.From, &m.To, &m.Subject, &m.Body, &m.HTML, &date)
	m.Date = time.UnixMilli(date).UTC()
	return m, err
}

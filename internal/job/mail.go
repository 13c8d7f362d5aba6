package job

import "time"

// Letter is one mail, in text and HTML that say the same, as notification writes it and as the SMTP client or the embedded inbox takes it. (Mail,
// beside it, is only where a job's letter stands.) Sending the same letter twice sends the same MessageID and Date, so
// that whoever receives a duplicate can tell.
type Letter struct {
	From      string // a bare address
	To        string // a bare address, see IsAddress
	Subject   string // UTF-8, no line ends
	Body      string // text/plain, UTF-8, lines end in \n
	HTML      string // text/html likewise; "" is a mail of text alone
	MessageID string // without angle brackets; unique to the letter, the same at every attempt to send it
	Date      time.Time
}

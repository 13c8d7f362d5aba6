package job

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
)

// Message is what a queue carries, the original's form: look at this job now.
type Message struct {
	Video    string                     // the video's id, and so the job's
	MP3      string                     // the MP3's id; empty is null on the wire
	Username string                     // the owner's e-mail address
	Extra    map[string]json.RawMessage // fields we do not know are kept
	Trail    Trail                      // in the message's headers, so that bodies stay the contract's
	Foreign  bool                       // not on the wire: not published by this system, so a job may not be behind it
}

// Bell says whom a message is for. The commands map it to the queue's name.
type Bell string

// The two bells.
const (
	ForConverter Bell = "video"
	ForMailer    Bell = "mp3"
)

// Bell returns whom to ring for the job, "" if nobody is to look at it.
func (j Job) Bell() Bell {
	switch {
	case j.State == Queued, j.State == Converting:
		return ForConverter
	case j.State != Deleted && j.Mail == MailPending:
		return ForMailer
	default:
		return ""
	}
}

// ErrPoison is in the chain of what a body that is no message, or a message that no job can come of, is refused with:
// it belongs in the dead-letter queue with that reason, and no retry will help.
var ErrPoison = errors.New("poison message")

// maxMessage bounds a body in bytes. Ours have 110 and the user name.
const maxMessage = 64 << 10

// Encode returns the body of the message.
func (m Message) Encode() []byte {
	fields := map[string]any{}
	for k, v := range m.Extra {
		fields[k] = v
	}
	fields["video_fid"], fields["mp3_fid"], fields["username"] = m.Video, nil, m.Username
	if m.MP3 != "" {
		fields["mp3_fid"] = m.MP3
	}
	body, err := json.Marshal(fields)
	if err != nil {
		panic(fmt.Sprintf("job: message %s does not marshal: %v", m.Video, err)) // Extra holds only what Decode let in
	}
	return body
}

// Decode reads a body. Errors have ErrPoison in their chain and name the field.
func Decode(body []byte) (Message, error) {
	if len(body) > maxMessage {
		return Message{}, fmt.Errorf("%w: %d bytes, more than %d", ErrPoison, len(body), maxMessage)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return Message{}, fmt.Errorf("%w: not a JSON object: %w", ErrPoison, err)
	}
	if fields == nil {
		return Message{}, fmt.Errorf("%w: not a JSON object: null", ErrPoison)
	}
	var m Message
	for name, to := range map[string]*string{"video_fid": &m.Video, "mp3_fid": &m.MP3, "username": &m.Username} {
		if raw, ok := fields[name]; ok {
			if err := json.Unmarshal(raw, to); err != nil {
				return Message{}, fmt.Errorf("%w: %s: %w", ErrPoison, name, err)
			}
		}
		delete(fields, name)
	}
	if len(fields) > 0 {
		m.Extra = fields
	}
	switch {
	case !IsID(m.Video):
		return Message{}, fmt.Errorf("%w: video_fid %.40q is not 24 hex digits", ErrPoison, m.Video)
	case m.MP3 != "" && !IsID(m.MP3):
		return Message{}, fmt.Errorf("%w: mp3_fid %.40q is neither null nor 24 hex digits", ErrPoison, m.MP3)
	case !IsAddress(m.Username):
		return Message{}, fmt.Errorf("%w: username %.40q is no e-mail address", ErrPoison, m.Username)
	}
	return m, nil
}

// UploadKey is the ledger's key for an owner's Idempotency-Key.
func UploadKey(owner, idempotencyKey string) string {
	sum := sha256.Sum256([]byte(owner + "\x00" + idempotencyKey))
	return "key:" + hex.EncodeToString(sum[:])
}

// OwnKey is the ledger's key for a job without an Idempotency-Key.
func OwnKey(id string) string { return "id:" + id }

// Keyed reports whether the job can be found by an Idempotency-Key.
func (j Job) Keyed() bool { return j.Key != OwnKey(j.ID) }

func (m Message) extra() string {
	if len(m.Extra) == 0 {
		return ""
	}
	raw, err := json.Marshal(m.Extra)
	if err != nil {
		panic(fmt.Sprintf("job: extra fields of %s do not marshal: %v", m.Video, err))
	}
	return string(raw)
}

func decodeExtra(raw string) map[string]json.RawMessage {
	if raw == "" {
		return nil
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(raw), &fields) != nil {
		return nil // written by extra only
	}
	return fields
}

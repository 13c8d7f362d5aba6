// Package failpoint names the moments at which the death of a process hurts most, so that a test can have it die, fail or
// stall exactly there. At is where such a moment is marked. A build without the tag "failpoints", as every release is, has
// nothing of it: At is nil there, and the compiler removes what follows from it.
//
// With the tag two variables rule:
//
//	FAILPOINT=mail-claimed:kill@2   at the second passage: kill (as kill -9 does), error (At returns one), stall (At takes
//	                                5 s), or freeze (the whole process stands still until it is sent SIGCONT)
//	FAILPOINT_FIRED=/some/file      made when it fires; where the file is there already it never does
//
// So of all processes with the same two variables exactly one is hit once, and a supervisor may start it again as it was.
package failpoint

// Over ends the name of the file that is made when a stall is over; it begins as FAILPOINT_FIRED does.
const Over = ".over"

// Point is one such moment.
type Point string

// The points, in the order in which a job passes them. Those of files and messages are passed by every service that has to
// do with either.
const (
	UploadAdmitted Point = "upload-admitted"   // the token is good, nothing is written
	ChunksStored   Point = "chunks-stored"     // some of a file's chunks are in the store
	OffsetDue      Point = "offset-due"        // some of a resumable upload is in the store; the ledger does not know how much
	OffsetSaved    Point = "offset-saved"      // it does; nobody else
	FileWhole      Point = "file-whole"        // all are, and the document that makes them a file is not
	FileStored     Point = "file-stored"       // it is
	JobCommitted   Point = "job-committed"     // the upload is a job; nobody knows but the ledger
	Published      Point = "message-published" // a message is on its way to the broker, not confirmed
	Confirmed      Point = "message-confirmed" // the broker has it; the ledger does not know
	UploadReply    Point = "upload-reply"      // all is done but for telling the client

	ConversionRung    Point = "conversion-rung"    // the message is here
	ConversionClaimed Point = "conversion-claimed" // the job is ours
	ChunkRead         Point = "chunk-read"         // some of the video is here
	FFmpegRunning     Point = "ffmpeg-running"
	VideoEncoded      Point = "video-encoded"   // the MP3 is in the scratch file
	MP3Committed      Point = "mp3-committed"   // the MP3 is the job's; nobody was rung for the mail
	MessageHandled    Point = "message-handled" // all is done but for telling the broker

	MailRung    Point = "mail-rung"    // the message is here
	MailClaimed Point = "mail-claimed" // the mail is ours to send
	LetterHalf  Point = "letter-half"  // half of its text is written
	LetterEnded Point = "letter-ended" // the dot is sent, no answer read
	MailTaken   Point = "mail-taken"   // the mail server has it; the ledger does not know

	Expired Point = "expired" // the ledger says that a file was kept long enough, and it is there

	DeliveryStored Point = "delivery-stored" // what a webhook is to be told is stored; its hook sleeps
	HookWoken      Point = "hook-woken"      // it does not; the job is not told
	HookClaimed    Point = "hook-claimed"    // a delivery is about to be sent
	DeliveryTaken  Point = "delivery-taken"  // the receiver has it; the store does not know
)

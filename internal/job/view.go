package job

import "time"

// View is a job as its owner sees it, in JSON. All fields are always there; null is what there is not, or not yet.
type View struct {
	ID       string  `json:"id"`
	State    State   `json:"state"` // queued, converting, converted, done, failed
	FileName string  `json:"file_name"`
	Profile  Profile `json:"profile"`
	Progress int     `json:"progress"` // of the conversion, in percent
	Attempts int     `json:"attempts"` // conversions begun, without those that were interrupted through no fault of the video

	Reason *Reason `json:"reason"` // why it failed, a word
	Detail *string `json:"detail"` // the same for people; of a queued job, why the last attempt ended
	Mail   *Mail   `json:"mail"`   // pending, sent or failed, once the job has ended

	VideoFID        string   `json:"video_fid"`
	MP3FID          *string  `json:"mp3_fid"`
	Bytes           int64    `json:"bytes"` // of the video
	MP3Bytes        *int64   `json:"mp3_bytes"`
	DurationSeconds *float64 `json:"duration_seconds"` // of the MP3

	CreatedAt time.Time  `json:"created_at"` // RFC 3339, UTC
	StartedAt *time.Time `json:"started_at"` // the last attempt
	EndedAt   *time.Time `json:"ended_at"`   // converted or failed; the mail may follow

	VideoUntil *time.Time `json:"video_until"` // how long it is kept, of a job that has ended: null is for ever. A failed job can be retried till then
	MP3Until   *time.Time `json:"mp3_until"`   // the same of the MP3
}

// View is what GET /jobs/ID answers, and what a webhook tells.
func (j Job) View() View {
	v := View{
		ID: j.ID, State: j.State, FileName: j.Name, Profile: j.Profile, Progress: j.Percent, Attempts: j.Attempts(),
		Reason: orNull(j.Reason), Detail: orNull(j.Detail), Mail: orNull(j.Mail),
		VideoFID: j.ID, MP3FID: orNull(j.MP3), Bytes: j.VideoBytes + j.VideoWas, MP3Bytes: orNull(j.MP3Bytes + j.MP3Was), // one of two is 0
		DurationSeconds: orNull(j.Duration.Seconds()),
		CreatedAt:       j.Created, StartedAt: orNull(j.Started), EndedAt: orNull(j.Ended),
		VideoUntil: orNull(j.VideoUntil), MP3Until: orNull(j.MP3Until),
	}
	if v.Detail == nil && j.Reason != "" {
		v.Detail = orNull(j.Reason.Text())
	}
	return v
}

// orNull is nil for the zero value.
func orNull[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

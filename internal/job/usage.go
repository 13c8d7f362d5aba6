package job

// Usage is what an owner's jobs take. Deleted ones take nothing: their files are the sweeper's.
type Usage struct {
	Stored   int64 // bytes of videos that have arrived and of MP3s
	Reserved int64 // bytes that uploads under way may come to
	Waiting  int   // jobs queued or converting
	Uploads  int   // under way
}

// Count adds so many jobs of one state, which have so many bytes together.
func (u *Usage) Count(state State, jobs int, bytes int64) {
	switch state {
	case Deleted:
		return
	case Uploading:
		u.Uploads += jobs
		u.Reserved += bytes
		return
	case Queued, Converting:
		u.Waiting += jobs
	case Converted, Done, Failed:
	}
	u.Stored += bytes
}

// Reserve notes how many bytes an upload may come to. They count until it has arrived or is dead: whoever reads the Usage
// after this is stored sees them. Once stored it can only be made less: more would let two uploads find the same room.
func (j *Job) Reserve(bytes int64) error {
	if j.State != Uploading || j.Version > 0 && bytes > j.VideoBytes {
		return ErrState
	}
	j.VideoBytes = bytes
	return nil
}

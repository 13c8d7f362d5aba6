package checker

// request is what a client wanted once: one try to upload without an Idempotency-Key, or all tries under one. It makes
// one job at most.
type request struct {
	tries []Upload
	job   string // the first id that was told, else of the job that must come from it; empty without either
}

// attribute finds out which request each job comes from: the one whose client was told the job's id, else one that got
// no answer and has no job yet.
func (l *look) attribute() {
	l.from = map[string]Upload{}
	keyed := map[[2]string]*request{}
	for _, u := range l.uploads {
		name := [2]string{u.Owner, u.Key}
		r := keyed[name]
		if r == nil || u.Key == "" {
			r = &request{}
			keyed[name] = r
			l.requests = append(l.requests, r)
		}
		r.tries = append(r.tries, u)
		if u.Status != 200 {
			continue
		}
		if r.job == "" {
			r.job = u.Job
		}
		if _, known := l.from[u.Job]; !known {
			l.from[u.Job] = u
		}
	}
	// Of several tries without an answer for the same video, the job comes from the one with its profile.
	for _, profile := range []bool{true, false} {
		for _, j := range l.Jobs {
			if _, known := l.from[j.ID]; !known && !hidden(j) {
				l.adopt(j, profile)
			}
		}
	}
}

// adopt attributes a job whose id nobody was told.
func (l *look) adopt(j Job, profile bool) {
	for _, r := range l.requests {
		for _, u := range r.tries {
			if r.job == "" && u.Status == 0 && fits(j, u) && (!profile || j.Profile == u.Profile) {
				r.job = j.ID
				l.from[j.ID] = u
			}
		}
	}
}

// fits reports whether the job may be of that try.
func fits(j Job, u Upload) bool {
	return u.Owner == j.Owner && u.Name == j.Name && u.Video == j.VideoSHA256
}

// sent returns the try that a job comes from.
func (l *look) sent(j Job) (Upload, bool) {
	u, known := l.from[j.ID]
	return u, known
}

// surplus returns the requests that the job may be of, although their clients were told that they have failed or have
// another job under the same key.
func (l *look) surplus(j Job) (refused, other *request) {
	if _, known := l.sent(j); known || hidden(j) {
		return nil, nil
	}
	for _, r := range l.requests {
		for _, u := range r.tries {
			switch {
			case !fits(j, u):
			case u.Key != "" && r.job != "":
				other = r
			case u.Status != 200 && u.Status != 0:
				refused = r
			}
		}
	}
	return refused, other
}

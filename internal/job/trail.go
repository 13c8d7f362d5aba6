package job

import "strings"

// Trail is by what one upload is followed through all processes that have to do with it. None of it has a meaning for the job.
type Trail struct {
	Request string // id of the request that began it, which its client has seen
	Parent  string // W3C traceparent of the step before; "" if nobody traces
	State   string // the W3C tracestate that goes with it
}

// The names of the parts, in headers of requests and of messages.
const (
	HeaderRequest = "X-Request-Id"
	HeaderParent  = "traceparent"
	HeaderState   = "tracestate"
)

// ReadTrail takes from headers what is well-formed, and leaves the rest: others write them too.
func ReadTrail(header func(name string) string) Trail {
	var t Trail
	if id := header(HeaderRequest); IsRequestID(id) {
		t.Request = id
	}
	if parent := header(HeaderParent); isTraceparent(parent) {
		t.Parent = parent
		if state := header(HeaderState); isTracestate(state) {
			t.State = state
		}
	}
	return t
}

// Trace is the id of the trace, 32 hex digits; "" if there is none.
func (t Trail) Trace() string {
	if !isTraceparent(t.Parent) {
		return ""
	}
	return t.Parent[3:35]
}

// Trail is how the job is followed.
func (j Job) Trail() Trail {
	return Trail{Request: j.Request, Parent: j.Traceparent, State: j.Tracestate}
}

// Follow has the job be followed so.
func (j *Job) Follow(t Trail) { j.Request, j.Traceparent, j.Tracestate = t.Request, t.Parent, t.State }

// IsRequestID reports whether an id of somebody else's may stand in our logs and headers: short, and of harmless letters.
func IsRequestID(s string) bool {
	const longest = 64
	return s != "" && len(s) <= longest && !strings.ContainsFunc(s, func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && !strings.ContainsRune("-_.", c)
	})
}

// isTraceparent takes version 00 of W3C Trace Context, as every version is to be read that begins so.
func isTraceparent(s string) bool {
	const length, zeros = 55, "00000000000000000000000000000000"
	return len(s) == length && s[:3] == "00-" && s[35] == '-' && s[52] == '-' &&
		isHex(s[3:35]) && isHex(s[36:52]) && isHex(s[53:]) && s[3:35] != zeros && s[36:52] != zeros[:16]
}

func isHex(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return (c < '0' || c > '9') && (c < 'a' || c > 'f') })
}

// isTracestate bounds what is passed on; whoever uses it reads it closer.
func isTracestate(s string) bool {
	const longest = 512
	return len(s) <= longest && !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c > '~' })
}

// Write sets the headers that there is something for.
func (t Trail) Write(set func(name, value string)) {
	for _, h := range [...]struct{ name, value string }{{HeaderRequest, t.Request}, {HeaderParent, t.Parent}, {HeaderState, t.State}} {
		if h.value != "" {
			set(h.name, h.value)
		}
	}
}

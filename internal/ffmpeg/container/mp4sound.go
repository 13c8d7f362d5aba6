package container

import (
	"bytes"
	"cmp"
	"io"
	"slices"

	"mp3converter/internal/job"
)

// Sound returns the parts of a file that whoever plays its sound needs, in their order: of an MP4 all but what is picture.
// Nil is all of it, for other containers and for whatever is not certain. A hole in place of the rest changes nothing of
// what Read and ffmpeg's demuxer find in the tables, and no sample but the pictures'.
//
// Samples count as pictures only if their track cannot be taken for anything else: not which track ffmpeg calls the first,
// nor what it reads of subtitles and time codes, is guessed. And since a decoder's idea of a sample's size may differ from
// the table's, as of PCM, a run of samples is taken to go on until the next of any track begins.
func Sound(r io.ReaderAt, size int64) []job.Span {
	s := &source{r: r, size: size}
	if size == 0 || s.sniff().format != MP4 {
		return nil
	}
	l := layout{s: s, sure: true, pictures: map[uint32]bool{}, sizes: map[uint32]uint32{}}
	l.file()
	if !l.sure || s.err != nil {
		return nil
	}
	return l.spans()
}

// layout is where things are in an MP4 file. It gives up, which is what sure says, at the first that is unusual.
type layout struct {
	s        *source
	sure     bool
	index    bool       // a moov was found
	tables   []job.Span // all that is no sample
	runs     []run
	pictures map[uint32]bool   // by the track's id
	sizes    map[uint32]uint32 // of a fragment's sample that does not say, likewise
	narrow   int               // tracks whose offsets have 32 bits
	wide     int               // and 64
}

// run is samples of one track that lie together.
type run struct {
	at, size int64
	picture  bool // its size is left out
}

// maxRuns bounds memory: 12 hours of two tracks in runs of a second have 90,000. Beyond it samples lie so close together
// that there is nothing to leave out.
const maxRuns = 1 << 19

func (l *layout) unless(ok bool) { l.sure = l.sure && ok }

// known are the boxes that may stand in the file itself, those of phones (sefd, mpvd) among them. Another might be one that
// ffmpeg takes for a part of the index.
var known = []string{
	"ftyp", "styp", "moov", "moof", "mdat", "free", "skip", "wide", "uuid", "pnot", "PICT", "udta", "meta", "sidx", "ssix", "mfra", "prft", "emsg",
	"sefd", "mpvd",
}

func (l *layout) file() {
	end, media := int64(0), false
	for b := range l.s.boxes(0, l.s.size) {
		l.unless(slices.Contains(known, b.kind) && !b.cut)
		switch b.kind {
		case "moov":
			l.index = true
			l.moov(b)
		case "moof":
			l.unless(l.index)
			l.moof(b)
		case "mdat":
			media = true
		default:
			l.holds(b, map[string]int{"moov": 0, "trak": 0, "moof": 0})
		}
		stop := b.end
		if b.kind == "mdat" {
			stop = b.start
		}
		l.tables = append(l.tables, job.Span{From: b.head, To: stop})
		if end = b.end; !l.sure {
			return
		}
	}
	l.unless(end == l.s.size && l.index && media)
}

// holds gives up unless the words stand in the box so often, anywhere. ffmpeg takes most boxes wherever they stand, in
// others too, and any number of times; so this finds what was not expected.
func (l *layout) holds(b box, want map[string]int) {
	got, overlap := map[string]int{}, 3
	for at := b.start; at < b.end && l.sure; at += maxField - int64(overlap) {
		part := l.s.upTo(at, int(min(maxField, b.end-at)))
		for word := range want {
			got[word] += bytes.Count(part, []byte(word))
		}
		l.unless(l.s.step())
	}
	for word, n := range want {
		l.unless(got[word] == n)
	}
}

// moov finds the runs of all tracks.
func (l *layout) moov(b box) {
	tracks := 0
	for t := range l.s.boxes(b.start, b.end) {
		switch t.kind {
		case "trak":
			tracks++
			l.trak(t)
		case "mvex":
			for e := range l.s.boxes(t.start, t.end) {
				if h := l.s.field(e, 20); e.kind == "trex" {
					l.sizes[be32(h, 4)] = be32(h, 16)
				}
			}
		}
		l.unless(tracks <= maxTracks && l.s.step())
		if !l.sure {
			return
		}
	}
	l.holds(b, map[string]int{
		"moov": 0, "cmov": 0, "moof": 0, "trak": tracks, "mdia": tracks, "minf": tracks, "stbl": tracks, "stsc": tracks, "stsz": tracks,
		"stco": l.narrow, "co64": l.wide, "stz2": 0, "saio": 0,
	})
}

func (l *layout) trak(b box) {
	s := l.s
	id := trackID(s.field(s.find(b, "tkhd"), 24))
	_, twice := l.pictures[id]
	l.unless(!twice)
	media := s.find(b, "mdia")
	picture := string(tail(s.field(s.find(media, "hdlr"), 12), 8)) == "vide"
	l.pictures[id] = picture
	if picture {
		l.holds(b, map[string]int{"soun": 0})
	}
	tables := s.find(media, "minf", "stbl")
	if offsets := s.find(tables, "stco"); offsets.kind != "" {
		l.narrow++
		l.chunks(tables, offsets, false, picture)
		return
	}
	l.wide++
	l.chunks(tables, s.find(tables, "co64"), true, picture)
}

// chunks adds a track's runs.
func (l *layout) chunks(tables, offsets box, wide, picture bool) {
	s := l.s
	count := be32(s.field(offsets, 8), 4)
	l.unless(offsets.kind != "" && int64(len(l.runs))+int64(count) <= maxRuns)
	if !l.sure || count == 0 {
		return
	}
	perChunk, sizes := s.find(tables, "stsc"), s.find(tables, "stsz")
	l.rising(perChunk)
	samples, size := s.stsc(perChunk), s.stsz(sizes)
	t := s.table(offsets.start+8, offsets.end)
	for chunk := uint32(1); chunk <= count && l.sure; chunk++ {
		offset, ok := t.offset(wide)
		l.unless(ok && offset < uint64(s.size))       //nolint:gosec // a size is not negative
		r := run{at: int64(offset), picture: picture} //nolint:gosec // below the size
		if !picture {
			r.size, ok = size(samples(chunk))
			l.unless(ok)
		}
		l.runs = append(l.runs, r)
	}
}

// rising gives up unless stsc begins with the first chunk and goes up, in sense: what ffmpeg makes of others is its own.
func (l *layout) rising(stsc box) {
	t := l.s.table(stsc.start+8, stsc.end)
	n, last := be32(l.s.field(stsc, 8), 4), uint32(0)
	for i := uint32(0); i < n && l.sure; i++ {
		first, _ := t.u32()
		samples, _ := t.u32()
		description, ok := t.u32()
		l.unless(ok && first > last && (i > 0 || first == 1) && samples > 0 && description > 0)
		last = first
	}
	l.unless(n > 0)
}

// stsz returns a function that adds up the sizes of the next so many samples; false if there are fewer, or they come to
// more than the file.
func (s *source) stsz(b box) func(samples uint64) (int64, bool) {
	h := s.field(b, 12)
	each, left := uint64(be32(h, 4)), uint64(be32(h, 8))
	t := s.table(b.start+12, b.end)
	limit := uint64(s.size) //nolint:gosec // a size is not negative
	return func(samples uint64) (int64, bool) {
		if samples > left {
			return 0, false
		}
		left -= samples
		if each > 0 {
			return int64(samples * each), samples*each <= limit //nolint:gosec // both are of 32 bits
		}
		sum := uint64(0)
		for range samples {
			n, ok := t.u32()
			if sum += uint64(n); !ok || sum > limit {
				return 0, false
			}
		}
		return int64(sum), true
	}
}

// moof adds the runs of a fragment. It must say of each run where it begins, and from where that is counted.
func (l *layout) moof(b box) {
	tracks, runs := 0, 0
	for traf := range l.s.boxes(b.start, b.end) {
		if traf.kind != "traf" {
			continue
		}
		head := l.s.find(traf, "tfhd")
		h := l.s.field(head, 40)
		picture, ok := l.pictures[be32(h, 4)]
		base, size, based := tfhdBase(h, b.head)
		l.unless(ok && (based || tracks == 0))
		if size == 0 {
			size = l.sizes[be32(h, 4)]
		}
		tracks++
		for trun := range l.s.boxes(traf.start, traf.end) {
			if trun.kind == "trun" && l.sure {
				runs++
				l.trun(trun, base, size, picture)
			}
		}
	}
	l.holds(b, map[string]int{"traf": tracks, "tfhd": tracks, "trun": runs, "trak": 0, "moov": 0, "saio": 0})
}

// tfhdBase returns from where the fragment's offsets are counted, unless it depends on what came before, and the size of
// its samples, 0 if it does not say.
func tfhdBase(h []byte, moof int64) (base uint64, size uint32, ok bool) {
	flags, at := be32(h, 0), 8
	base, ok = uint64(moof), flags&0x20000 != 0 //nolint:gosec // an offset is not negative
	if flags&1 != 0 {
		base, ok = be64(h, at), true
		at += 8
	}
	for _, optional := range []uint32{2, 8} { // which sample description, the duration
		if flags&optional != 0 {
			at += 4
		}
	}
	if flags&0x10 != 0 {
		size = be32(h, at)
	}
	return base, size, ok
}

// trun adds a run of a fragment.
func (l *layout) trun(b box, base uint64, usual uint32, picture bool) {
	h := l.s.field(b, 12)
	flags, count := be32(h, 0), be32(h, 4)
	at := int64(base) + int64(int32(be32(h, 8)))      //nolint:gosec // it is held against the file
	known := flags&1 != 0 && base <= uint64(l.s.size) //nolint:gosec // a size is not negative
	l.unless(known && at >= 0 && at <= l.s.size && len(l.runs) < maxRuns)
	r := run{at: at, picture: picture}
	if !picture && l.sure {
		r.size = l.trunSize(b, flags, count, usual)
	}
	if count > 0 {
		l.runs = append(l.runs, r)
	}
}

// trunSize adds up the sizes of a run's samples.
func (l *layout) trunSize(b box, flags, count, usual uint32) int64 {
	if flags&0x200 == 0 {
		l.unless(uint64(count)*uint64(usual) <= uint64(l.s.size)) //nolint:gosec // a size is not negative
		return int64(count) * int64(usual)
	}
	start, before, after := b.start+12, 0, 0 // bytes of an entry around the size
	if flags&4 != 0 {
		start += 4 // the first sample's flags
	}
	if flags&0x100 != 0 {
		before = 4 // its duration
	}
	for _, optional := range []uint32{0x400, 0x800} { // its flags, its offset in time
		if flags&optional != 0 {
			after += 4
		}
	}
	t, entry, sum := l.s.table(start, b.end), make([]byte, before+4+after), int64(0)
	for range count {
		if !t.next(entry) {
			l.sure = false
			break
		}
		sum += int64(be32(entry, before))
	}
	return sum
}

// spans adds what follows each run that is no picture, up to the next run, to the tables.
func (l *layout) spans() []job.Span {
	slices.SortFunc(l.runs, func(a, b run) int {
		if a.at == b.at && b.picture && !a.picture {
			return -1 // so that a run at the same place as pictures has no bytes of its own, below
		}
		return cmp.Compare(a.at, b.at)
	})
	all := l.tables
	for i, r := range l.runs {
		end := l.s.size
		if i+1 < len(l.runs) {
			end = l.runs[i+1].at
		}
		switch {
		case r.picture:
		case r.at+r.size > end:
			return nil // runs that lie over each other: whose are the bytes?
		default:
			all = append(all, job.Span{From: r.at, To: end})
		}
	}
	return merged(all)
}

// merged sorts spans and joins those that touch.
func merged(all []job.Span) []job.Span {
	slices.SortFunc(all, func(a, b job.Span) int { return cmp.Compare(a.From, b.From) })
	out := all[:0]
	for _, s := range all {
		switch last := len(out) - 1; {
		case s.From == s.To:
		case last >= 0 && s.From <= out[last].To:
			out[last].To = max(out[last].To, s.To)
		default:
			out = append(out, s)
		}
	}
	return out
}

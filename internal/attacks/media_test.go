package attacks

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"

	"mp3converter/internal/testmedia"
	"mp3converter/internal/testsuite"
)

// becomes is what a file became: the reason for which its job failed, or an MP3.
func (p *probe) becomes(name string, data []byte) (string, testsuite.JobView) {
	p.Helper()
	a, got := p.upload("", testsuite.FilePart("file", name, data))
	if got != "200" {
		p.Fatalf("%s: %s", name, got)
	}
	p.keeps(p.me.Email, 1)
	id := testsuite.JobOf(p, a)
	j := testsuite.Awaited(p, "job "+id+" of "+name+" ends", func() (testsuite.JobView, bool) {
		j := p.me.Job(p, id)
		return j, j.State == "done" || j.State == "failed"
	})
	if found := internals.FindString(testsuite.OrEmpty(j.Detail)); found != "" {
		p.Errorf("%s: the detail has %q: %s", name, found, *j.Detail)
	}
	if j.State == "done" {
		return "MP3", j
	}
	return "failed: " + testsuite.OrEmpty(j.Reason), j
}

// become tries files at once. Each must become one of what it may, words with a bar between.
func (p *probe) become(files map[string][]byte, want string) {
	p.Helper()
	var all sync.WaitGroup
	places := make(chan struct{}, 16) // a user may not upload many more at once
	for variant, data := range files {
		all.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			got, _ := p.becomes("video.mp4", data)
			p.Logf("%s: %s", variant, got)
			p.is(variant, got, strings.Split(want, "|")...)
		})
	}
	all.Wait()
}

func clip(p *probe, s testmedia.Spec) []byte { return []byte(testsuite.Read(p, testmedia.Clip(p, s))) }

func box(kind string, size uint32, body ...byte) []byte {
	return slices.Concat(binary.BigEndian.AppendUint32(nil, size), []byte(kind), body)
}

// wav is a second of silence with any number of channels and samples per second.
func wav(channels, rate, samples int) []byte {
	b := []byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00")
	b = binary.LittleEndian.AppendUint16(b, uint16(channels))
	b = binary.LittleEndian.AppendUint32(b, uint32(rate))
	b = binary.LittleEndian.AppendUint32(b, uint32(rate*channels*2))
	b = binary.LittleEndian.AppendUint16(b, uint16(channels*2))
	b = append(b, "\x10\x00data"...)
	b = binary.LittleEndian.AppendUint32(b, uint32(samples*channels*2))
	b = append(b, make([]byte, samples*channels*2)...)
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)-8))
	return b
}

var media = []row{
	{number: 50, attack: "HLS, DASH, concat, SDP, ASX, M3U, XSPF, subfile:, IMF as .mp4, behind ID3, to files and to a listener", expected: "failed: unsupported; nobody is called", try: func(p *probe) {
		l, calls := p.listener()
		secret := testmedia.Clip(p, testmedia.Spec{Ext: "ts"})
		url := "http://" + l + "/x.ts"
		hls := func(to string) []byte {
			return []byte("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n" + to + "\n#EXT-X-ENDLIST\n")
		}
		p.become(map[string][]byte{
			"HLS to a file": hls(secret), "HLS to file:": hls("file://" + secret), "HLS to http": hls(url), "HLS behind ID3": append([]byte("ID3\x04\x00\x00\x00\x00\x00\x00"), hls(secret)...),
			"subfile": hls("subfile,,start,0,end,9999,,:" + secret), "concat:": hls("concat:" + secret + "|" + secret), "ffconcat": []byte("ffconcat version 1.0\nfile '" + secret + "'\n"),
			"SDP":  []byte("v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n"),
			"DASH": []byte(`<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet mimeType="audio/mp4"><Representation id="1"><BaseURL>` + url + `</BaseURL></Representation></AdaptationSet></Period></MPD>`),
			"ASX":  []byte(`<asx version="3.0"><entry><ref href="` + url + `"/></entry></asx>`), "PLS": []byte("[playlist]\nFile1=" + url + "\n"), "M3U": []byte(url + "\n"),
			"XSPF": []byte(`<playlist version="1" xmlns="http://xspf.org/ns/0/"><trackList><track><location>` + url + `</location></track></trackList></playlist>`),
			"IMF":  []byte(`<?xml version="1.0"?><CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/2067-3/2013"><Id>urn:uuid:x</Id></CompositionPlaylist>`),
		}, "failed: unsupported")
		p.is("calls", fmt.Sprintf("%d calls", calls.Load()), "0 calls")
	}},
	{number: 50, attack: "a demuxer that reads other files, told to", expected: "opens none, by each layer alone", elsewhere: []string{"internal/ffmpeg TestFFmpegOpensNoOtherFile", "internal/sandbox TestMatrix"}},
	{number: 52, attack: "polyglots: MP4 and HTML, MP4 and ZIP, ID3 and HTML", expected: "an MP3 of type audio/mpeg, or failed", try: func(p *probe) {
		const html = "<html><script>alert(1)</script></html>"
		mp4 := clip(p, testmedia.Spec{})
		size := binary.BigEndian.Uint32(mp4)
		free := box("free", uint32(8+len(html)), []byte(html)...)
		for variant, data := range map[string][]byte{
			"MP4 and HTML": slices.Concat(mp4, free), "MP4 and ZIP": slices.Concat(mp4, []byte("PK\x05\x06"), make([]byte, 18)),
			"HTML in MP4": slices.Concat(mp4[:size], free, mp4[size:]), "ID3 and HTML": []byte("ID3\x04\x00\x00\x00\x00\x00\x00" + html),
		} {
			got, j := p.becomes("x.html", data)
			p.is(variant, got, "MP3", "failed: unsupported", "failed: unreadable")
			if j.MP3 == nil {
				continue
			}
			a, _ := p.mine(testsuite.Request{Path: "/download?fid=" + *j.MP3})
			if a.Header.Get("Content-Type") != "audio/mpeg" || a.Header.Get("X-Content-Type-Options") != "nosniff" || strings.Contains(a.Body, "<script") {
				p.Errorf("%s: the download is %v", variant, a.Header)
			}
		}
	}},
	{number: 53, attack: "bombs: 20 minutes of silence in FLAC, an hour in AAC, undeclared in FLAC; the limit is a minute here", expected: "failed: too_long", try: func(p *probe) {
		flac := clip(p, testmedia.Spec{Ext: "flac", Seconds: 1200, Flags: []string{"-af", "volume=0"}})
		unknown := slices.Clone(flac) // STREAMINFO's count of samples is 36 bits
		unknown[21] &= 0xF0
		copy(unknown[22:26], make([]byte, 4))
		aac := clip(p, testmedia.Spec{Ext: "aac", Seconds: 10, Flags: []string{"-af", "volume=0", "-b:a", "16k"}})
		p.become(map[string][]byte{"FLAC": flac, "FLAC undeclared": unknown, "AAC": bytes.Repeat(aac, 360)}, "failed: too_long")
	}},
	{number: 53, attack: "a bomb of 100 hours, declared", expected: "failed: too_long", slow: true, try: func(p *probe) {
		flac := clip(p, testmedia.Spec{Ext: "flac", Seconds: 1200, Flags: []string{"-af", "volume=0"}})
		samples := uint64(100 * 3600 * 44100)
		flac[21] = flac[21]&0xF0 | byte(samples>>32)
		binary.BigEndian.PutUint32(flac[22:], uint32(samples))
		p.become(map[string][]byte{"FLAC": flac}, "failed: too_long")
	}},
	{number: 54, attack: "MP4 of 2^32 samples, chunks, runs, ticks; boxes of size 0 or 1, in themselves, 10 000 deep; endless EBML", expected: "failed, or the MP3 that is in it", try: func(p *probe) {
		mp4 := clip(p, testmedia.Spec{Flags: []string{"-movflags", "+faststart"}})
		with := func(name string, offset int, number uint32) []byte { // in the last track, the sound
			b := slices.Clone(mp4)
			binary.BigEndian.PutUint32(b[bytes.LastIndex(b, []byte(name))+4+offset:], number)
			return b
		}
		ftyp := box("ftyp", 16, []byte("isom\x00\x00\x00\x00")...)
		ebml := []byte("\x1A\x45\xDF\xA3\x80\x18\x53\x80\x67\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF")
		p.become(map[string][]byte{
			"chunks": with("stco", 4, math.MaxUint32), "ticks": with("stts", 12, math.MaxUint32), "duration": with("mdhd", 16, math.MaxUint32), "timescale 0": with("mdhd", 12, 0),
			"timescale 1": with("mdhd", 12, 1), "in itself": slices.Concat(ftyp, box("moov", 8), box("moov", 0)),
			"size 0": slices.Concat(ftyp, bytes.Repeat(box("moov", 0), 10_000)), "size 1": slices.Concat(ftyp, bytes.Repeat(box("moov", 1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF), 10_000)),
			"deep": slices.Concat(ftyp, bytes.Repeat(box("moov", 0x00FFFFFF), 10_000)),
			"EBML": slices.Concat(ebml, bytes.Repeat([]byte("\x16\x54\xAE\x6B\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xAE\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF"), 10_000)),
		}, "MP3|failed: unreadable|failed: unsupported|failed: no_audio|failed: truncated|failed: too_long|failed: crashed|failed: too_slow")
	}},
	{number: 54, attack: "what makes ffmpeg ask for gigabytes, or hang", expected: "failed within its limits", elsewhere: []string{"internal/ffmpeg TestFilesThatPromiseTooMuch"}},
	{number: 56, attack: "255 channels, 1 Hz, 2 GHz; a change of rate and channels in the middle", expected: "failed: unsupported; the change: MP3", try: func(p *probe) {
		p.become(map[string][]byte{"255": wav(255, 48000, 4800), "1 Hz": wav(1, 1, 60), "2 GHz": wav(2, math.MaxInt32, 1000)}, "failed: unsupported")
		p.become(map[string][]byte{"change": slices.Concat(clip(p, testmedia.Spec{Ext: "aac"}), clip(p, testmedia.Spec{Ext: "aac", Rate: 22050, Layout: "stereo"}))}, "MP3")
	}},
	{number: 58, attack: "mutants of a clip: 8, 200 with -full; 10 000 with make fuzz", expected: "an MP3 or failed; the converter lives, nothing of ffmpeg is left", try: func(p *probe) {
		n := 8
		if *full {
			n = 200
		}
		mp4 := clip(p, testmedia.Spec{Flags: []string{"-movflags", "+faststart"}})
		head := min(len(mp4), bytes.Index(mp4, []byte("mdat")))
		random := rand.New(rand.NewPCG(58, 58)) // the same each time
		files := map[string][]byte{}
		for i := range n {
			b := slices.Clone(mp4)
			for range 1 + random.IntN(20) {
				b[random.IntN(head)] = byte(random.Uint32())
			}
			files[strconv.Itoa(i)] = b
		}
		p.become(files, "MP3|failed: unreadable|failed: unsupported|failed: no_audio|failed: truncated|failed: too_long|failed: crashed|failed: too_slow|failed: too_large")
	}},
	{number: 58, attack: "10 000 mutants of moov, EBML, AVI through the sandbox", expected: "nothing outside it", elsewhere: []string{"internal/ffmpeg TestMutants"}},
	{number: 59, attack: "no sound, only sound, two tracks, an encrypted one", expected: "failed: no_audio, MP3, the first, failed: unsupported", try: func(p *probe) {
		for variant, tt := range map[string]struct {
			spec testmedia.Spec
			want string
		}{
			"none": {testmedia.Spec{Audio: testmedia.None}, "failed: no_audio"}, "only": {testmedia.Spec{Ext: "m4a"}, "MP3"}, "two": {testmedia.Spec{Pitch: []float64{440, 1000}}, "MP3"},
			"encrypted": {testmedia.Spec{Ext: "m4a", Flags: []string{"-encryption_scheme", "cenc-aes-ctr", "-encryption_key", "76a6c65c5ea762046bd749a2e632ccbb", "-encryption_kid", "a7e61c373e219033c21091fa607bf3b8"}}, "failed: unsupported"},
		} {
			got, j := p.becomes(variant+".mp4", clip(p, tt.spec))
			p.is(variant, got, tt.want)
			if variant == "two" && j.MP3 != nil {
				if sound := testmedia.Listen(p, p.me.Download(p.T, *j.MP3)); math.Abs(sound.Pitch-440) > 20 {
					p.Errorf("the MP3 sounds at %.0f Hz", sound.Pitch)
				}
			}
		}
	}},
	{number: 60, attack: "tags with script, line ends, of 50 KB; a picture of more than a megabyte", expected: "an MP3 whose only tag is the file's name as its title", try: func(p *probe) {
		path := testmedia.Make(p, "m4a", "-f", "lavfi", "-i", "sine=d=2", "-f", "lavfi", "-i", "nullsrc=s=1200x1000:r=1:d=1,geq=random(1)*255:128:128,format=rgb24",
			"-map", "0:a", "-map", "1:v", "-frames:v", "1", "-c:v", "png", "-disposition:v", "attached_pic",
			"-metadata", "title=<script>alert(1)</script>", "-metadata", "artist=a\r\nBcc: x@y.z", "-metadata", "comment="+strings.Repeat("c", 50_000))
		data := []byte(testsuite.Read(p, path))
		if len(data) < 1<<20 {
			p.Fatalf("the picture is of less than %d bytes", len(data))
		}
		got, j := p.becomes("tags.m4a", data)
		p.is("tags", got, "MP3")
		if j.MP3 == nil {
			return
		}
		mp3 := p.me.Download(p.T, *j.MP3)
		for name, want := range map[string]string{"title": "tags.m4a", "artist": "", "comment": ""} {
			if tag := testmedia.Tag(p, mp3, name); tag != want {
				p.Errorf("%s: %q", name, tag)
			}
		}
		if size := len(testsuite.Read(p, mp3)); size > 200_000 {
			p.Errorf("the MP3 has %d bytes", size)
		}
	}},
	{number: 61, attack: "an ffmpeg that forks, calls, writes elsewhere, reads secrets, fills the disk", expected: "stopped by each layer alone", elsewhere: []string{"internal/sandbox TestMatrix", "internal/sandbox TestTheProgramHasOnlyWhatItIsGiven"}},
}

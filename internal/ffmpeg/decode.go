package ffmpeg

import (
	"fmt"
	"io"
	"slices"

	"mp3converter/internal/job"
	"mp3converter/internal/mp3"
)

// decode starts the decoder. It makes the sound of that shape; "" leaves the choice to ffmpeg.
func (s *split) decode(shape string) {
	const loudest = 2 * 48000 * floatSize // bytes a second
	s.decoder = s.process(s.decodeArgs(shape))
	s.decoder.out, s.decoder.most = s.pcm.file, int64((s.MaxDuration+2*overrun).Seconds())*loudest+beyond
	s.start(s.decoder, func() error {
		o := s.decoder.outcome(mp3File{})
		if o.findings.has(noMixing) && shape == "" {
			return s.probe()
		}
		if err := s.finished(o); err != nil {
			return err
		}
		if o.reach > s.MaxDuration { // else the encoders might find out in an hour
			return s.judge(o)
		}
		s.decoded = true
		return nil
	})
}

// probe makes the beginning of an MP3, to find out what ffmpeg makes of sound that no MP3 can hold, as of six channels, and has
// the video decoded to that. To ffmpeg's filters the choice is clear only at their very end.
func (s *split) probe() error {
	if err := s.pcm.look(); err != nil {
		return err
	}
	if s.pcm.data != 0 { // it is midway, and encoders may read what there is
		return errSerial
	}
	file, err := s.Temp()
	if err != nil {
		return err
	}
	s.probed = file
	args := s.args(s.video.Format, s.options)
	p := s.process(slices.Insert(args, len(args)-1, "-frames:a", "2"))
	p.out = file
	s.start(p, func() error {
		facts, err := mp3.Check(io.NewSectionReader(file, 0, probeSize))
		if err != nil {
			return fmt.Errorf("ffmpeg: probe: %w", err)
		}
		if facts.Frames == 0 {
			return errSerial // it knows the words for what is wrong
		}
		layout := "mono"
		if facts.Channels > 1 {
			layout = "stereo"
		}
		s.decode(fmt.Sprintf("sample_rates=%d:channel_layouts=%s", facts.Rate, layout))
		return nil
	})
	return nil
}

// probeSize is how much of a probe is looked at: title, header and two frames.
const probeSize = 1 << 20

// decodeArgs are ffmpeg's arguments for the sound as libmp3lame would get it, but as floats, which hold all that it takes. The
// filter is the one that ffmpeg itself puts before libmp3lame.
func (s *split) decodeArgs(shape string) []string {
	switch {
	case s.options.Profile == job.Voice:
		shape = "sample_rates=24000:channel_layouts=mono"
	case shape == "":
		shape = "sample_rates=44100|48000|32000|22050|24000|16000|11025|12000|8000:channel_layouts=mono|stereo"
	}
	return slices.Concat(
		[]string{"-stats_period", "0.05"}, s.input(s.video.Format),
		[]string{"-filter_threads", "1", "-af", closeGap + ",aformat=sample_fmts=s32p|fltp|s16p:" + shape},
		[]string{"-threads", "1", "-c:a", "pcm_f32le", "-f", "wav", "-rf64", "auto", "-y", outPath},
	)
}

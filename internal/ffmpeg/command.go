package ffmpeg

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"mp3converter/internal/ffmpeg/container"
	"mp3converter/internal/job"
	"mp3converter/internal/sandbox"
)

// The child's descriptors. It opens them by name, so that it can seek and has offsets of its own.
const (
	inPath  = "/dev/fd/3"
	outPath = "/dev/fd/4"
)

// encodings are the profiles in the words of libmp3lame. Rate and channels of the source are kept where nothing is said;
// ffmpeg brings what no MP3 can hold to the nearest rate (96 kHz to 48) and to stereo (5.1 is mixed down).
var encodings = map[job.Profile][]string{
	job.Standard: {"-q:a", "5"},
	job.CBR128:   {"-ac", "2", "-ar", "44100"},              // LAME's default of 128 kb/s; saying so changes its first frame
	job.Voice:    {"-ac", "1", "-ar", "24000", "-q:a", "5"}, // speech ends below 12 kHz; about 45 kb/s
	job.High:     {"-q:a", "2"},
	job.Best:     {"-q:a", "0"},
}

// decoders are all that ffmpeg may decode with: the sound of nearly every video, and little to attack.
var decoders = strings.Join([]string{
	"aac", "aac_latm", "mp3float", "mp3", "mp2float", "mp2", "mp1float", "mp1", "ac3", "eac3", "opus", "vorbis", "flac", "alac",
	"wmav1", "wmav2", "wmapro", "wmalossless", "wmavoice", "amrnb", "amrwb", "dca", "truehd", "mlp",
	"pcm_s8", "pcm_u8", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_s32be",
	"pcm_f32le", "pcm_f32be", "pcm_f64le", "pcm_f64be", "pcm_alaw", "pcm_mulaw", "pcm_bluray", "pcm_dvd",
}, ",")

// overrun is how much more sound is made than allowed, so that too much can be told from just enough.
const overrun = time.Second

// args are ffmpeg's arguments to encode.
func (r Runner) args(format container.Format, o Options) []string {
	return slices.Concat(r.input(format), r.mostBytes(o), []string{"-filter_threads", "1", "-af", closeGap}, o.encoder(), o.output())
}

// copyArgs are ffmpeg's arguments to copy.
func (r Runner) copyArgs(format container.Format, o Options) []string {
	return slices.Concat(r.input(format), []string{"-fs", strconv.FormatInt(r.MaxBytes, 10), "-c:a", "copy"}, o.output())
}

// common are for every run. A line of the log says how bad it is and is never folded into "repeated n times".
var common = []string{"-hide_banner", "-nostdin", "-nostats", "-loglevel", "repeat+level+warning", "-progress", "pipe:1"}

// soundOnly takes the first audio track, and nothing of what is said about it.
var soundOnly = []string{"-map", "0:a:0", "-vn", "-sn", "-dn", "-map_metadata", "-1", "-map_chapters", "-1"}

// closeGap is so that a late beginning is no gap, see judge.
const closeGap = "asetpts=PTS-STARTPTS"

// input are the arguments up to what is to be made of a video.
func (r Runner) input(format container.Format) []string {
	return slices.Concat(common, []string{
		"-protocol_whitelist", "file", "-format_whitelist", string(format), "-codec_whitelist", decoders, "-max_streams", "64",
		"-threads", "1", "-f", string(format), "-i", inPath,
	}, soundOnly, []string{"-t", strconv.FormatFloat((r.MaxDuration + overrun).Seconds(), 'f', 3, 64)})
}

func (r Runner) mostBytes(o Options) []string {
	return []string{"-fs", strconv.FormatInt(r.limit(o.profile()), 10)}
}

// encoder are the arguments for LAME.
func (o Options) encoder() []string {
	args := []string{"-threads", "1", "-c:a", "libmp3lame"}
	if packs(o.profile()) {
		args = append(args, "-reservoir", "0")
	}
	return append(args, encodings[o.profile()]...)
}

// output are the arguments behind how it is made.
func (o Options) output() []string {
	var args []string
	if title := cleanTitle(o.Title); title != "" {
		args = append(args, "-metadata", "title="+title)
	}
	return append(args, "-id3v2_version", "3", "-f", "mp3", "-y", outPath)
}

// cleanTitle drops what an argument or a tag cannot hold.
func cleanTitle(title string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(title, ""), "\x00", "")
}

// command builds a process that has the files and nothing else of ours, in a sandbox. Its descriptors are 0 (null), 1
// (progress), 2 (log) and the files from 3 on.
func (r Runner) command(ctx context.Context, args []string, bytes, most int64, read, write []*os.File) (*sandbox.Cmd, error) {
	jail := sandbox.Jail{
		Layers:    r.Sandbox,
		Memory:    r.MaxMemory,
		CPU:       r.allowed(bytes, r.MaxDuration),
		FileSize:  most,
		Files:     maxFiles,
		Processes: maxProcesses,
	}
	cmd, err := r.Spares.Command(ctx, jail, r.Path, args, read, write)
	if err != nil {
		return nil, fmt.Errorf("start: %w: %w", job.ErrTransient, err)
	}
	cmd.WaitDelay = leftover
	return cmd, nil
}

// allowed is how long a conversion of so many bytes may take to make so much sound.
func (r Runner) allowed(bytes int64, sound time.Duration) time.Duration {
	return r.Wall + reading(bytes) + sound/time.Duration(r.Pace)
}

// reading is the time that is granted to read so many bytes of a video.
func reading(bytes int64) time.Duration { return time.Duration(bytes) * time.Second / readRate }

const (
	maxFiles = 64 // descriptors: libraries are opened one at a time
	// maxProcesses bounds threads, since there can be no other process. It counts all that the user of the service runs on
	// the machine, in other pods too where they have the same number, and must not be reached by those.
	maxProcesses = 16384
)

// leftover is how long a grandchild that has left the process group may keep the pipes open.
const leftover = 5 * time.Second

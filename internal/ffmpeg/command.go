package ffmpeg

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mp3converter/internal/ffmpeg/container"
	"mp3converter/internal/job"
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

// args are ffmpeg's arguments. A line of the log says how bad it is and is never folded into "repeated n times".
func (r Runner) args(format container.Format, o Options) []string {
	args := []string{
		"-hide_banner", "-nostdin", "-nostats", "-loglevel", "repeat+level+warning", "-progress", "pipe:1",
		"-protocol_whitelist", "file", "-format_whitelist", string(format), "-codec_whitelist", decoders, "-max_streams", "64",
		"-threads", "1", "-f", string(format), "-i", inPath,
		"-map", "0:a:0", "-vn", "-sn", "-dn", "-map_metadata", "-1", "-map_chapters", "-1",
		"-t", strconv.FormatFloat((r.MaxDuration + overrun).Seconds(), 'f', 3, 64),
		"-fs", strconv.FormatInt(r.MaxBytes, 10),
		"-filter_threads", "1", "-af", "asetpts=PTS-STARTPTS", // so that a late beginning is no gap, see judge
		"-threads", "1", "-c:a", "libmp3lame",
	}
	encoding, ok := encodings[o.Profile]
	if !ok {
		encoding = encodings[job.Standard]
	}
	args = append(args, encoding...)
	if title := cleanTitle(o.Title); title != "" {
		args = append(args, "-metadata", "title="+title)
	}
	return append(args, "-id3v2_version", "3", "-f", "mp3", "-y", outPath)
}

// cleanTitle drops what an argument or a tag cannot hold.
func cleanTitle(title string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(title, ""), "\x00", "")
}

// command builds a process that has the files and nothing else of ours. What the kernel can forbid it (Landlock, seccomp)
// is to be arranged here: the descriptors are 0 (null), 1 (progress), 2 (log) and the files from 3 on.
func (r Runner) command(ctx context.Context, args []string, files ...*os.File) *exec.Cmd {
	cmd := exec.CommandContext(ctx, r.Path, args...)
	cmd.Env = []string{"LC_ALL=C"}
	cmd.Dir = "/"
	cmd.ExtraFiles = files
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = leftover
	return cmd
}

// leftover is how long a grandchild that has left the process group may keep the pipes open.
const leftover = 5 * time.Second

const (
	niceness = 10  // uploads and downloads on the same machine come first
	oomScore = 500 // when memory runs out, the kernel takes ffmpeg and not the service
)

// restrict sets limits on the process, which has only just begun to load its libraries.
func (r Runner) restrict(pid int) error {
	limits := map[int]int64{
		unix.RLIMIT_AS:    r.MaxMemory,
		unix.RLIMIT_FSIZE: r.MaxBytes + 1<<20, // beyond what -fs lets through
		unix.RLIMIT_CORE:  0,
	}
	for which, most := range limits {
		limit := unix.Rlimit{Cur: uint64(most), Max: uint64(most)} //nolint:gosec // settings, not negative
		if err := unix.Prlimit(pid, which, &limit, nil); err != nil {
			return fmt.Errorf("limit ffmpeg: %w", err)
		}
	}
	if err := unix.Setpriority(unix.PRIO_PROCESS, pid, niceness); err != nil {
		return fmt.Errorf("lower the priority of ffmpeg: %w", err)
	}
	// A wish: some sandboxes have no such file.
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid), []byte(strconv.Itoa(oomScore)), 0)
	return nil
}

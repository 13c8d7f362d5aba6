package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"
)

// shortRounds of everything give a 99th percentile that is not the worst; the first ones warm up and do not count.
const (
	shortRounds = 101
	shortWarmUp = 5
)

// measureShort compares what becomes of a 10-second clip, from the message that rings for it to the MP3 in the store, with
// bare ffmpeg's run on a local file. The converter is the service itself, in this process and warm, so that every step can be
// timed.
func measureShort(ctx context.Context, b *bench) (table, error) {
	clip, err := shortClip(ctx, b.dir)
	if err != nil {
		return table{}, err
	}
	ffmpegs := []string{"ffmpeg"}
	if own := b.static(); own != "" {
		ffmpegs = append(ffmpegs, own)
	}
	own := ffmpegs[len(ffmpegs)-1]
	servers, err := newShortServers(ctx, b, own)
	if err != nil {
		return table{}, err
	}
	defer servers.close()
	folder, err := newShortFolder(b, own)
	if err != nil {
		return table{}, err
	}
	defer folder.close()
	alone := make([]samples, len(ffmpegs))
	for round := range shortRounds + shortWarmUp {
		for i, program := range ffmpegs {
			once, err := bare{program, b.dir}.once(ctx, clip)
			if err != nil {
				return table{}, err
			}
			alone[i] = append(alone[i], milliseconds(once.wall))
		}
		for _, g := range []*shortGround{servers, folder} {
			if err := g.convert(ctx, clip); err != nil {
				return table{}, fmt.Errorf("%s: %w", g.name, err)
			}
		}
		time.Sleep(100 * time.Millisecond) // for whatever else the machine has to do
		if round%20 == 0 {
			b.say("short: round %d", round)
		}
	}
	for i := range alone {
		alone[i] = alone[i][shortWarmUp:]
	}
	t := table{Title: "A clip of 10 s: from the message to the stored MP3, against bare ffmpeg's run on a local file", Base: "bare", Notes: []string{
		"bare is ffmpeg -i file -vn -c:a libmp3lame -q:a 5, as nice as ours is; same is the binary that ours runs, Debian's the one in PATH",
		"the bare store is one find of the video's chunks and two inserts, of a chunk and of its file, by the bare driver: what FerretDB takes for them is most of what is left",
		"of the steps ours is the median, and the result the 99th percentile, which is the machine's as much as ours",
	}}
	for _, g := range []*shortGround{servers, folder} {
		t.Rows = append(t.Rows, g.rows(alone[len(alone)-1], alone[0])...)
	}
	return t, nil
}

// shortClip is what a phone leaves, ten seconds of it.
func shortClip(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "short.mp4")
	cmd := exec.CommandContext(ctx, "ffmpeg", "-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=s=640x360:r=25:d=10",
		"-f", "lavfi", "-i", "anoisesrc=c=pink:a=0.3:r=44100:seed=1:d=10,aformat=channel_layouts=stereo",
		"-c:v", "mpeg4", "-b:v", "1M", "-c:a", "aac", "-b:a", "160k", path)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("make a clip: %w: %s", err, out)
	}
	return path, nil
}

// rows are a ground's: the whole way, then its steps.
func (g *shortGround) rows(same, debian samples) []row {
	way := g.between(published, stored)
	rows := []row{
		compared(g.name+": to the stored MP3, same ffmpeg", "ms", same, way).against(atMost(1.15)),
		compared(g.name+": to the stored MP3, Debian's ffmpeg", "ms", debian, way).against(atMost(0.75)),
		percentile(g.name+": to ffmpeg's start, 99th percentile, without the start", g.before()).against(atMost(10)),
	}
	if g.raw != nil {
		both := make(samples, len(same))
		for i := range same {
			both[i] = same[i] + g.rawStore[shortWarmUp:][i]
		}
		rows = append(rows, compared(g.name+": the same, against bare ffmpeg and the bare store", "ms", both, way).against(atMost(1.15)))
	}
	for m := delivered; m < moments; m++ {
		rows = append(rows, percentile("  "+m.String(), g.between(m-1, m)))
	}
	return rows
}

func percentile(what string, of samples) row {
	return row{What: what, Unit: "ms", Ours: of, Value: of.quantile(0.99), Format: "%.1f ms"}
}

// moment is one at which a job's clock is read.
type moment int

const (
	published moment = iota
	delivered
	claimed
	spooled
	began
	ended
	judged
	stored
	committed
	handled
	moments
)

// String says what came before the moment.
func (m moment) String() string {
	return [moments]string{
		"", "publish and deliver", "claim", "copy the video to scratch", "start ffmpeg", "ffmpeg", "judge",
		"store the MP3", "commit", "ring for the mail, note it",
	}[m]
}

// between are the milliseconds from one moment to another, of each job that counts.
func (g *shortGround) between(from, to moment) samples {
	var all samples
	for _, j := range g.jobs[shortWarmUp:] {
		all = append(all, j[to].Sub(j[from]).Seconds()*1000)
	}
	return all
}

// before is all that comes before ffmpeg's start.
func (g *shortGround) before() samples { return g.between(published, spooled) }

// clock is when each moment of a job was. One job runs at a time; the channel handled orders the accesses.
type clock [moments]time.Time

func (c *clock) read(m moment) { c[m] = time.Now() }

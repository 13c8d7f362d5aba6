package main

import (
	"context"
	"fmt"
)

// The contenders of a conversion, as rows name them.
const (
	debianName = "Debian's ffmpeg"
	staticName = "the same ffmpeg"
)

// field is all that runs against each other, on one video after the other.
type field struct {
	debian, static bare
	ours           *services
	suite          embeddedSuite
}

func (b *bench) newField(ctx context.Context) (f *field, err error) {
	f = &field{debian: bare{"ffmpeg", b.dir}, static: bare{b.static(), b.dir}}
	if f.static.program == "" {
		return nil, fmt.Errorf("no ffmpeg in %s: run make ffmpeg", b.keep)
	}
	if f.ours, err = b.newServices(ctx); err != nil {
		return nil, err
	}
	if f.suite, err = b.newEmbedded(ctx); err != nil {
		f.ours.close()
		return nil, err
	}
	return f, nil
}

func (f *field) close() {
	f.ours.close()
	f.suite.close()
}

// measureConvert compares conversions of the corpus with bare ffmpeg at the same setting on local files.
func measureConvert(ctx context.Context, b *bench) (table, error) {
	t := table{
		Title: "Conversion, profile standard, against bare ffmpeg on a local file", Base: "bare",
		Notes: []string{
			"the same ffmpeg is the converter's own, as deploy/ffmpeg/build makes it; bare is ffmpeg -i FILE -vn -c:a libmp3lame -q:a 5 FILE.mp3",
			"services are gateway and converter over FerretDB and RabbitMQ; wall is from the queue to the MP3 in the store, and so includes reading the video from FerretDB, which goes through all of it before it sends the first byte; CPU is the converter's and its ffmpeg's",
			"suite is mp3converter, with a folder for a store; its CPU is that of the upload, too",
			"every ffmpeg runs at nice 10, as ours does in its sandbox; who is first changes from round to round",
		},
	}
	f, err := b.newField(ctx)
	if err != nil {
		return t, err
	}
	defer f.close()
	for _, c := range corpus() {
		if !b.wants(c) {
			continue
		}
		m, err := b.media(ctx, c)
		if err != nil {
			return t, err
		}
		r, err := b.race(ctx, f, m)
		if err != nil {
			return t, fmt.Errorf("%s: %w", c.Name, err)
		}
		t.Rows = append(t.Rows, r.rows()...)
	}
	return t, nil
}

// race is one clip's trials, round by round.
type race struct {
	media
	debian, static, ours, suite []trial
}

func (b *bench) race(ctx context.Context, f *field, m media) (race, error) {
	r := race{media: m}
	times := max(1, 30/m.Seconds) // CPU time of children is counted in ticks
	if m.size > 32*mega {
		times = 1 // FerretDB's takes long
	}
	rounds := b.Rounds
	if m.Seconds <= 10 {
		rounds++
	}
	for round := range rounds {
		for _, one := range rotated([]struct {
			name string
			contender
			to *[]trial
		}{{debianName, f.debian, &r.debian}, {staticName, f.static, &r.static}, {"services", f.ours, &r.ours}, {"suite", f.suite, &r.suite}}, round) {
			t, err := one.convert(ctx, m, times)
			if err != nil {
				return r, fmt.Errorf("%s: %w", one.name, err)
			}
			*one.to = append(*one.to, t)
			b.say("convert %s, %s %d/%d: %.2f s, CPU %.2f s", m.Name, one.name, round+1, rounds, t.wall.Seconds(), t.cpu().Seconds())
		}
	}
	return r, nil
}

// rows are what is to be said of the clip.
func (r race) rows() []row {
	wall := func(t trial) float64 { return t.wall.Seconds() }
	cpu := func(t trial) float64 { return t.cpu().Seconds() }
	rows := []row{
		compared(wallStatic, "s", each(r.static, wall), each(r.ours, wall)),
		compared(wallDebian, "s", each(r.debian, wall), each(r.ours, wall)),
		compared(cpuStatic, "s", each(r.static, cpu), each(r.ours, cpu)),
		compared(cpuDebian, "s", each(r.debian, cpu), each(r.ours, cpu)),
		compared(suiteWall, "s", each(r.static, wall), each(r.suite, wall)),
		compared(suiteCPU, "s", each(r.static, cpu), each(r.suite, cpu)),
		compared(suiteEncoder, "s", each(r.static, cpu), each(r.suite, func(t trial) float64 { return t.encoder.Seconds() })),
		compared(fromStore, "MB", each(r.ours, func(t trial) float64 { return float64(t.bytes) / mega }),
			each(r.ours, func(t trial) float64 { return float64(t.store.received) / mega })),
		r.percent(outside, func(t trial) float64 { return t.service.Seconds() }),
		r.percent(gatewayShare, func(t trial) float64 { return t.gateway.Seconds() }),
		r.measured(brokerBytes, "kB", func(t trial) float64 { return float64(t.broker.received+t.broker.sent) / 1000 }),
		r.measured(converterPeak, "MiB", func(t trial) float64 { return float64(t.servicePeak) / mebi }),
		r.measured(encoderPeak, "MiB", func(t trial) float64 { return float64(t.encoderPeak) / mebi }),
	}
	for i := range rows {
		rows[i].Of = r.Name
		if g := goalOf(r.Name, rows[i].What); g != nil {
			rows[i] = rows[i].against(g)
		}
	}
	return rows
}

// What is said of each clip.
const (
	wallStatic    = "wall, " + staticName
	wallDebian    = "wall, " + debianName
	cpuStatic     = "CPU, " + staticName
	cpuDebian     = "CPU, " + debianName
	suiteWall     = "suite's wall"
	suiteCPU      = "suite's CPU"
	suiteEncoder  = "suite's CPU, of ffmpeg alone"
	fromStore     = "read from the store"
	outside       = "converter's CPU, of ffmpeg's"
	gatewayShare  = "gateway's CPU, of ffmpeg's"
	brokerBytes   = "to and from the broker"
	converterPeak = "converter's memory"
	encoderPeak   = "ffmpeg's memory"
)

// goalOf is the goal that a clip has been set.
func goalOf(clip, what string) *goal {
	switch [2]string{clip, what} {
	case [2]string{clip10min, wallStatic}, [2]string{clip10min, suiteWall}: // whose store leaves the cores idle
		return atMost(0.60)
	case [2]string{clip10min, cpuStatic}, [2]string{clip10min, suiteCPU}, [2]string{clip10min, suiteEncoder}:
		return atMost(1.05)
	case [2]string{clip10min, outside}:
		return atMost(10)
	case [2]string{clip10min, converterPeak}:
		return atMost(30).aim()
	case [2]string{clip10min, encoderPeak}:
		return atMost(60).aim()
	case [2]string{clipPhone, fromStore}:
		return atMost(0.15)
	case [2]string{clipMP3, cpuStatic}:
		return atMost(0.05)
	}
	return nil
}

// percent is a share of what ffmpeg used.
func (r race) percent(what string, of func(trial) float64) row {
	p := compared(what, "s", each(r.ours, func(t trial) float64 { return t.encoder.Seconds() }), each(r.ours, of))
	p.Value, p.Format = 100*p.Value, "%.1f %%"
	return p
}

// measured is ours alone.
func (r race) measured(what, unit string, of func(trial) float64) row {
	all := each(r.ours, of)
	return row{What: what, Unit: unit, Ours: all, Value: all.median(), Format: "%.0f " + unit}
}

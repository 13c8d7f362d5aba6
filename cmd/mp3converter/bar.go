package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// bar shows how far something is: redrawn in place on a terminal, one line at its end elsewhere.
type bar struct {
	out      io.Writer
	label    string
	terminal bool
	drawn    int // per cent, -1 for nothing yet
}

func newBar(out io.Writer, label string) *bar {
	f, ok := out.(*os.File)
	return &bar{out: out, label: label, terminal: ok && term.IsTerminal(int(f.Fd())), drawn: -1}
}

// set takes the part that is done, 0 to 1.
func (b *bar) set(part float64) {
	percent := int(part * 100)
	if percent == b.drawn {
		return
	}
	b.drawn = percent
	if b.terminal {
		fmt.Fprint(b.out, "\r"+b.line())
	}
}

// end leaves the bar as it is and goes to the next line.
func (b *bar) end(good bool) {
	if good {
		b.set(1)
	}
	if !b.terminal {
		fmt.Fprint(b.out, b.line())
	}
	fmt.Fprintln(b.out)
}

func (b *bar) line() string {
	const width = 40
	full := max(0, b.drawn) * width / 100
	return fmt.Sprintf("%-10s [%s%s] %3d %%", b.label, strings.Repeat("#", full), strings.Repeat(".", width-full), max(0, b.drawn))
}

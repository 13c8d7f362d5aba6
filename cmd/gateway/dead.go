package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"mp3converter/internal/rabbit"
)

// walk shows see all dead letters of both queues, until see fails. Only a walk to the end keeps their order.
func (d desk) walk(ctx context.Context, see func(*rabbit.DeadLetters, rabbit.DeadLetter) error) error {
	for _, queue := range d.Queues() {
		dead, err := d.Broker.DeadLetters(ctx, queue)
		if err != nil {
			return fmt.Errorf("rabbitmq at RABBITMQ_URL: %w", err)
		}
		if err := errors.Join(through(ctx, dead, see), dead.Close()); err != nil {
			return err
		}
	}
	return nil
}

func through(ctx context.Context, dead *rabbit.DeadLetters, see func(*rabbit.DeadLetters, rabbit.DeadLetter) error) error {
	for {
		letter, err := dead.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := see(dead, letter); err != nil {
			return err
		}
	}
}

func listDead(ctx context.Context, d desk, o order) error {
	table := tabwriter.NewWriter(d.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tQUEUE\tBURIED\tBYTES\tREASON\tBODY")
	listed, more := 0, 0
	err := d.walk(ctx, func(_ *rabbit.DeadLetters, l rabbit.DeadLetter) error {
		if listed == o.limit {
			more++
			return nil
		}
		listed++
		fmt.Fprintln(table, strings.Join(row(l), "\t"))
		return nil
	})
	if err := errors.Join(err, table.Flush()); err != nil {
		return err
	}
	if more > 0 {
		d.say("and %d more", more)
	}
	return nil
}

// row is what a list says of a letter.
func row(l rabbit.DeadLetter) []string {
	return []string{
		l.ID, printable(l.Queue, 40), moment(l.Buried), strconv.FormatInt(l.Bytes, 10), cell(l.Reason, 120), cell(string(l.Start), 80),
	}
}

func replayDead(ctx context.Context, d desk, o order) error {
	return d.settle(ctx, o, func(dead *rabbit.DeadLetters, l rabbit.DeadLetter) error {
		if err := dead.Replay(ctx); err != nil {
			return err
		}
		d.say("replayed %s to %s", l.ID, l.Queue)
		return nil
	})
}

func discardDead(ctx context.Context, d desk, o order) error {
	return d.settle(ctx, o, func(dead *rabbit.DeadLetters, l rabbit.DeadLetter) error {
		if err := dead.Discard(); err != nil {
			return err
		}
		d.say("discarded %s", strings.Join(row(l), "  ")) // nobody may have seen it, and this is the last of it
		return nil
	})
}

// settle has done with each letter that the order names. An id may name several: then they are alike.
func (d desk) settle(ctx context.Context, o order, do func(*rabbit.DeadLetters, rabbit.DeadLetter) error) error {
	missing := map[string]bool{}
	for _, id := range o.args {
		missing[id] = true
	}
	var refusals []error
	err := d.walk(ctx, func(dead *rabbit.DeadLetters, l rabbit.DeadLetter) error {
		if !o.all && !slices.Contains(o.args, l.ID) {
			return nil
		}
		delete(missing, l.ID)
		err := do(dead, l)
		if errors.Is(err, rabbit.ErrCut) { // the others can be replayed all the same
			refusals, err = append(refusals, err), nil
		}
		return err
	})
	if err != nil { // then what is missing may only be unseen
		return errors.Join(append(refusals, err)...)
	}
	for _, id := range slices.Sorted(maps.Keys(missing)) {
		refusals = append(refusals, fmt.Errorf("there is no dead letter %s; see: gateway dead list", id))
	}
	return errors.Join(refusals...)
}

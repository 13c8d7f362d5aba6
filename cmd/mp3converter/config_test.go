package main

import (
	"bytes"
	"errors"
	"flag"
	"strings"
	"testing"

	"mp3converter/cmd/internal/encoder"
	"mp3converter/cmd/internal/uploads"
	"mp3converter/internal/settings"
	"mp3converter/internal/settings/readme"
)

func TestReadmeListsTheSettings(t *testing.T) {
	readme.Check(t, "mp3converter", settings.Describe[config](),
		settings.Describe[uploads.Settings](), settings.Describe[encoder.Settings](), settings.Describe[settings.Rules]())
}

func TestAFlagWinsOverItsVariable(t *testing.T) {
	cfg, args, err := parse([]string{"-listen", "127.0.0.1:1", "demo", "clip.mp4"}, []string{"LISTEN=127.0.0.1:2", "DATA_DIR=/d"}, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Listen != "127.0.0.1:1" || cfg.Data != "/d" || strings.Join(args, " ") != "demo clip.mp4" {
		t.Errorf("listen %s, data %s, rest %v", cfg.Listen, cfg.Data, args)
	}
}

func TestHelpNamesEveryFlagAndVariable(t *testing.T) {
	var out bytes.Buffer
	if _, _, err := parse([]string{"-h"}, nil, &out); !errors.Is(err, flag.ErrHelp) {
		t.Fatalf("-h: %v", err)
	}
	for name, variable := range flags {
		if !strings.Contains(out.String(), "-"+name+" ") || !strings.Contains(out.String(), variable) {
			t.Errorf("-h does not name -%s and %s:\n%s", name, variable, out.String())
		}
	}
}

func TestTheDefaultsListenOnLoopbackOnly(t *testing.T) {
	cfg, _, err := parse(nil, []string{"DATA_DIR=/d"}, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	for _, addr := range []string{cfg.Listen, cfg.Inbox} {
		if !strings.HasPrefix(addr, "127.0.0.1:") {
			t.Errorf("listens on %s", addr)
		}
	}
}

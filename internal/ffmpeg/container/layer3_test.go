package container

import (
	"testing"

	"mp3converter/internal/testmedia"
)

func TestLayer3(t *testing.T) {
	t.Parallel()
	mp3 := func(ext string, flags ...string) testmedia.Spec {
		return testmedia.Spec{Ext: ext, Audio: "libmp3lame", Flags: flags}
	}
	for name, tt := range map[string]struct {
		spec testmedia.Spec
		want bool
	}{
		"MP4":               {mp3("mp4"), true},
		"MP4, of MPEG-2":    {testmedia.Spec{Audio: "libmp3lame", Rate: 22050}, true},
		"MP4, fragmented":   {mp3("mp4", "-movflags", "+frag_keyframe+empty_moov"), true},
		"MOV":               {mp3("mov"), true},
		"AVI":               {mp3("avi"), true},
		"MKV":               {mp3("mkv"), true},
		"FLV":               {mp3("flv"), true},
		"FLV of 8 kHz":      {testmedia.Spec{Ext: "flv", Rate: 11025}, true},
		"MP3":               {mp3("mp3"), true},
		"MP3, no header":    {mp3("mp3", "-write_xing", "0"), true},
		"second track only": {testmedia.Spec{Pitch: []float64{440, 880}, Flags: []string{"-c:a:1", "libmp3lame"}}, false},
		"second track only, in MKV": {
			testmedia.Spec{Ext: "mkv", Pitch: []float64{440, 880}, Flags: []string{"-c:a:1", "libmp3lame"}}, false,
		},
		"first track only, in MKV": {
			testmedia.Spec{Ext: "mkv", Audio: "libmp3lame", Pitch: []float64{440, 880}, Flags: []string{"-c:a:1", "aac"}}, true,
		},
		"MP4 of AAC":  {testmedia.Spec{}, false},
		"MOV of PCM":  {testmedia.Spec{Ext: "mov", Audio: "pcm_s16le"}, false},
		"AVI of PCM":  {testmedia.Spec{Ext: "avi", Audio: "pcm_s16le"}, false},
		"AVI of AC-3": {testmedia.Spec{Ext: "avi", Audio: "ac3"}, false},
		"MKV of MP2":  {testmedia.Spec{Ext: "mkv", Audio: "mp2"}, false},
		"FLV of AAC":  {testmedia.Spec{Ext: "flv", Video: "libx264", Audio: "aac"}, false},
		"MP2":         {testmedia.Spec{Ext: "mp3", Audio: "mp2", Flags: []string{"-f", "mp2"}}, false},
		"WAV":         {testmedia.Spec{Ext: "wav"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := facts(t, load(t, testmedia.Clip(t, tt.spec))).Layer3; got != tt.want {
				t.Errorf("Layer3 = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestLayer3Object(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		esds string
		want bool
	}{
		"short sizes":        {"\x03\x10\x00\x01\x00\x04\x08\x6B", true},
		"sizes of two":       {"\x03\x80\x10\x00\x01\x00\x04\x80\x08\x69", true},
		"sizes of four":      {"\x03\x80\x80\x80\x10\x00\x01\x00\x04\x80\x80\x80\x08\x6B", true},
		"sizes without end":  {"\x03\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80", false},
		"AAC":                {"\x03\x10\x00\x01\x00\x04\x08\x40", false},
		"flags":              {"\x03\x10\x00\x01\x80\x00\x01\x04\x08\x6B", false},
		"another descriptor": {"\x05\x10\x00\x01\x00\x04\x08\x6B", false},
		"cut off":            {"\x03\x10\x00\x01\x00\x04\x08", false},
		"nothing":            {"", false},
	} {
		if got := layer3Object([]byte(tt.esds)); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
